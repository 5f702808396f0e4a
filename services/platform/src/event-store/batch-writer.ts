import type { EventId } from '../ids/ids.ts';
import type { OutboxRow } from '../outbox/port.ts';
import { contentDigest } from '../sealing/content-digest.ts';
import type { Contributors } from '../sealing/event.ts';
import type { BatchOutcome, LeasedBatch, LoadedBatch } from './batch.ts';
import type { IndexedEvent, IndexRow } from './event-index.ts';
import type { AppendItem, DecidedEvent } from './family.ts';
import { monthOf } from './leasing.ts';
import { livingToken, type PersonKeys } from './person-keys.ts';
import type { PersonBoxes, RecordRow } from './read-model.ts';
import { recordIdOf } from '../ids/record-id.ts';
import { sealRecord } from './seal-record.ts';
import { type StreamKey, streamText } from './streams.ts';
import type { WorkingStream } from './working-streams.ts';

export interface EventToWrite {
  readonly item: AppendItem<unknown>;
  readonly stream: WorkingStream<unknown>;
  readonly personKeys: PersonKeys;
  readonly event: DecidedEvent;
  readonly position: number;
}

/** A sealed record that is not written yet. */
export interface SealedEvent {
  readonly eventId: EventId;
  readonly recordId: EventId;
  readonly position: number;
  readonly record: Uint8Array;
  readonly digest: Buffer;
}

/** Seals events and collects the rows that the transaction will insert. */
export interface BatchWriter {
  /** What is known of an event id, by the index or by an earlier item of this batch. */
  find(eventId: EventId): IndexedEvent | undefined;
  seal(event: EventToWrite & { readonly digest: Buffer }): SealedEvent;
  /** The same for an event that the service adds; its id is made of stream, name and the caller's event. */
  sealDerived(event: EventToWrite & { readonly event: { readonly name: string } }): SealedEvent;
  write(stream: WorkingStream<unknown>, events: readonly SealedEvent[]): void;
  /** Counts boxes of persons in a stream that is not theirs. */
  countPersonBoxes(stream: WorkingStream<unknown>, personKeys: PersonKeys): void;
  rows(): Pick<BatchOutcome, 'indexRows' | 'outboxRows' | 'recordRows' | 'personBoxes'>;
}

export function createBatchWriter<Command, State>(
  batch: LeasedBatch<Command, State>,
  loaded: LoadedBatch,
): BatchWriter {
  const rows = createRows(batch.family.keepsRecords, loaded.recordedAtMs);
  const personBoxes = new Map<string, PersonBoxes>();
  return {
    find: (eventId) => {
      const added = rows.added.get(eventId);
      const recordId = loaded.recordIds.get(eventId);
      return added ?? (recordId === undefined ? undefined : loaded.indexed.get(recordId));
    },
    seal: (event) => sealToWrite(batch, loaded, event, event.item, event.digest),
    sealDerived: (toWrite) => {
      const { item, stream, event } = toWrite;
      const causationId = item.eventId;
      const eventId = batch.tokens.derivedEventId(stream.key.token, event.name, causationId);
      const digest = contentDigest(
        stream.lease.digestKey,
        event.shape.type,
        item.occurredAtMs,
        causationId,
        event.eventBytes,
      );
      return sealToWrite(batch, loaded, toWrite, { eventId, causationId }, digest);
    },
    write: rows.write,
    countPersonBoxes: (stream, personKeys) => {
      for (const person of othersIn(stream, personKeys)) {
        const text = `${streamText(person)} ${streamText(stream.key)}`;
        const boxes = (personBoxes.get(text)?.boxes ?? 0) + 1;
        personBoxes.set(text, { person, stream: stream.key, boxes });
      }
    },
    rows: () => ({
      indexRows: rows.indexRows,
      outboxRows: rows.outboxRows,
      recordRows: rows.recordRows,
      personBoxes: [...personBoxes.values()],
    }),
  };
}

function sealToWrite<Command, State>(
  batch: LeasedBatch<Command, State>,
  loaded: LoadedBatch,
  { item, stream, personKeys, event, position }: EventToWrite,
  ids: { readonly eventId: EventId; readonly causationId: EventId | undefined },
  digest: Buffer,
): SealedEvent {
  const { tenantId, leases } = batch;
  const toSeal = {
    tenantId,
    eventId: ids.eventId,
    causationId: ids.causationId,
    streamToken: stream.key.token,
    position,
    occurredAtMs: item.occurredAtMs,
    recordedAtMs: loaded.recordedAtMs,
    event,
    partKeys: { facts: leases.facts, stream: stream.lease, persons: personKeys },
    contributors: contributorsOf(batch, item, stream, personKeys),
    traceContext: loaded.traceContext,
  };
  const record = sealRecord(toSeal, loaded.randomBytes);
  const recordId = loaded.recordIds.get(ids.eventId) ?? recordIdOf(tenantId, ids.eventId);
  return { eventId: ids.eventId, recordId, position, record, digest };
}

/** The rows of one batch, as they come together. */
function createRows(keepsRecords: boolean, recordedAtMs: number) {
  const added = new Map<string, IndexedEvent>();
  const indexRows: IndexRow[] = [];
  const outboxRows: OutboxRow[] = [];
  const recordRows: RecordRow[] = [];
  const write: BatchWriter['write'] = ({ key, partition }, events) => {
    const at = { streamToken: key.token, streamIncarnation: key.incarnation };
    for (const { eventId, recordId, position, record, digest } of events) {
      added.set(eventId, { stream: { ...key, position, digest } });
      indexRows.push({ recordId, eventId, ...at, position, partition, digest });
      const value = { kind: 'record', eventId: recordId, value: record, recordedAtMs } as const;
      outboxRows.push({ partition, ...value });
      if (keepsRecords) recordRows.push({ ...at, position, record });
    }
  };
  return { added, indexRows, outboxRows, recordRows, write };
}

/** Persons named in a stream, except the one with whom the whole stream goes. */
function othersIn(
  { key, lease }: WorkingStream<unknown>,
  personKeys: PersonKeys,
): readonly StreamKey[] {
  const owner = lease.owner ?? key;
  return [...personKeys.values()].flatMap((held) => {
    if (!('granted' in held) || held.scope.kind !== 'person') return [];
    const { incarnation } = held;
    const isOwner = held.scope.token === owner.token && incarnation === owner.incarnation;
    return isOwner ? [] : [{ token: held.scope.token, incarnation }];
  });
}

/** Keyed hashes of whose stream it is and who acted, for the month in which it happened. */
function contributorsOf<Command, State>(
  { leases }: LeasedBatch<Command, State>,
  item: AppendItem<unknown>,
  stream: WorkingStream<unknown>,
  personKeys: PersonKeys,
): Contributors {
  const maker = leases.contributors.get(monthOf(item.occurredAtMs));
  if (maker === undefined) return {};
  const owner = stream.lease.owner?.token ?? ownToken(stream);
  const agent = livingToken(personKeys, item.agentPart);
  return {
    requester: owner === undefined ? undefined : maker(owner),
    agent: agent === undefined ? undefined : maker(agent),
  };
}

function ownToken({ key, lease }: WorkingStream<unknown>) {
  return lease.scope.kind === 'person' ? key.token : undefined;
}
