import { sql, type Transaction, type Kysely } from 'kysely';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '../errors/service-error.ts';
import { isTenantId, type TenantId, type Token, tokenFromBytes } from '../ids/ids.ts';
import type { ApplyPorts, Folded, LoggedRecord, MendedStream } from './apply-parts.ts';
import { loadStreams, streamKeyOf } from './apply-streams.ts';
import { storeFolded } from './apply-rows.ts';
import { storeSequences } from './event-index.ts';
import type { RecordedEvent } from './family.ts';
import { type OpenedRecord, openRecords } from './open-records.ts';
import { type StreamKey, streamText } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

export interface AppliedRecords {
  /** Brought into the tables. */
  readonly applied: number;
  /** The tables had these and lacked their sequence alone. */
  readonly numbered: number;
  /** Their keys are lost, or they do not open: nothing of them is in the tables. */
  readonly unreadable: readonly LoggedRecord[];
}

/**
 * Brings records that lie on the log and not in the tables into them: index, streams with their state, read model,
 * counts of persons' boxes. For a database that lost commits; nothing else may work on it. One transaction a call, so
 * that a call which is repeated after a death finds its records numbered or does all of it.
 *
 * An event that is mended so has no content digest, as the log does not hold what the caller sent: when it comes again
 * it is a duplicate, whatever it says.
 */
export async function applyRecords<Command, State>(
  ports: ApplyPorts<Command, State>,
  records: readonly LoggedRecord[],
): Promise<AppliedRecords> {
  const known = await indexedIds(ports.db, records);
  const [old, fresh] = partitioned(records, ({ recordId }) => known.has(recordId));
  const folded: Folded<State>[] = [];
  for (const [tenantId, ofTenant] of Map.groupBy(fresh, tenantOf)) {
    folded.push(await foldTenant(ports, tenantId, ofTenant));
  }
  await ports.db.transaction().execute(async (tx) => {
    await numberRecords(tx, ports.family.topic, old);
    for (const each of folded) await storeFolded(tx, ports, each);
  });
  return {
    applied: folded.reduce((sum, { records: stored }) => sum + stored.length, 0),
    numbered: old.length,
    unreadable: folded.flatMap(({ unreadable }) => unreadable),
  };
}

function tenantOf({ record, recordId }: LoggedRecord): TenantId {
  const tenantId = record.header?.tenantId ?? '';
  if (isTenantId(tenantId)) return tenantId;
  throw new ServiceError('RECORD_MALFORMED', `record ${recordId} names no tenant`);
}

function partitioned<Item>(
  items: readonly Item[],
  isFirst: (item: Item) => boolean,
): readonly [readonly Item[], readonly Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

async function indexedIds(
  db: Kysely<EventStoreSchema>,
  records: readonly LoggedRecord[],
): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ record_id: string }>`
    select record_id from event_index
    where record_id = any(${records.map(({ recordId }) => recordId)}::uuid[])`.execute(db);
  return new Set(rows.map((row) => row.record_id));
}

/** What was committed as an event and lost its number alone: it is on the log, so nothing of it waits any more. */
async function numberRecords(
  tx: Transaction<EventStoreSchema>,
  topic: string,
  records: readonly LoggedRecord[],
): Promise<void> {
  await storeSequences(
    tx,
    records.map(({ recordId, partition, sequence }) => ({
      eventId: recordId,
      partition,
      sequence,
    })),
  );
  const ids = records.map(({ recordId }) => Buffer.from(recordId.replaceAll('-', ''), 'hex'));
  await sql`delete from outbox where topic = ${topic} and kind = 1
    and event_id = any(${ids}::bytea[])`.execute(tx);
}

async function foldTenant<Command, State>(
  ports: ApplyPorts<Command, State>,
  tenantId: TenantId,
  records: readonly LoggedRecord[],
): Promise<Folded<State>> {
  const streams = await loadStreams(ports, tenantId, records);
  const stored: { logged: LoggedRecord; key: StreamKey }[] = [];
  const unreadable: LoggedRecord[] = [];
  for (const logged of records) {
    const known = [...streams.values()].map(({ key }) => key);
    const stream = streams.get(streamText(streamKeyOf(logged.record, known)));
    const opened = stream === undefined ? undefined : await openOne(ports, tenantId, logged);
    if (stream === undefined || opened === undefined || !foldOne(ports, stream, opened)) {
      unreadable.push(logged);
    } else stored.push({ logged, key: stream.key });
  }
  return { tenantId, streams, records: stored, unreadable };
}

/** Undefined when a key of it is lost, or it does not open. */
async function openOne<Command, State>(
  { keys }: ApplyPorts<Command, State>,
  tenantId: TenantId,
  { record }: LoggedRecord,
): Promise<OpenedRecord | undefined> {
  try {
    const [opened] = await openRecords(keys, tenantId, [record], () => true);
    return opened;
  } catch (error) {
    // What cannot be opened now never can; anything else (keys away, a newer event type) stops the mending.
    if (error instanceof ServiceError && error.code === 'DATA_LOSS') return undefined;
    throw error;
  }
}

/** False when the record does not go on from where the stream stands. */
function foldOne<Command, State>(
  { family }: ApplyPorts<Command, State>,
  stream: MendedStream<State>,
  opened: OpenedRecord,
): boolean {
  const isBeginning = opened.position === 1n;
  const { lease } = stream;
  // The stream's own key is lost: nothing that is appended to it could ever be sealed.
  if (lease?.granted === false && lease.status !== 'erased') return false;
  // An erased stream has no state any more; its erasure finds the rows and removes them.
  if (family.stateCodec !== undefined && lease?.granted === true) {
    if (stream.state === undefined && stream.position > 0) return false;
    try {
      stream.state = family.evolve(stream.state, recordedEventOf(opened));
    } catch (error) {
      // What opened it is lost.
      if (error instanceof RangeError) return false;
      throw error;
    }
  }
  if (isBeginning || stream.position === 0) stream.openedAtMs = opened.occurredAtMs;
  stream.position = Math.max(stream.position, Number(opened.position));
  return true;
}

function recordedEventOf({
  eventId,
  shape,
  eventBytes,
  occurredAtMs,
  record,
}: OpenedRecord): RecordedEvent {
  const personTokens = new Map<string, Token | undefined>();
  for (const part of record.parts) {
    if (part.scopeKind !== ScopeKind.SCOPE_KIND_PERSON) continue;
    personTokens.set(part.name, part.erasedAtAppend ? undefined : tokenFromBytes(part.scopeToken));
  }
  return { eventId, shape, eventBytes, occurredAtMs, personTokens };
}
