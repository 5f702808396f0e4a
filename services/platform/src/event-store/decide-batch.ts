import { scopeText } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import { contentDigest } from '../sealing/content-digest.ts';
import {
  type BatchOutcome,
  type LeasedBatch,
  type LoadedBatch,
  streamKeyOf,
  streamLeaseOf,
} from './batch.ts';
import type { IndexedEvent } from './event-index.ts';
import type { AppendAnswer, AppendItem, Decision } from './family.ts';
import { ownerLease } from './leasing.ts';
import { cutOffMsOf, livingTokens, type PersonKeys, personKeysOf } from './person-keys.ts';
import { createBatchWriter, type BatchWriter } from './batch-writer.ts';
import {
  createWorkingStreams,
  type WorkingStream,
  type WorkingStreams,
} from './working-streams.ts';

interface Work<Command, State> {
  readonly batch: LeasedBatch<Command, State>;
  readonly loaded: LoadedBatch;
  readonly streams: WorkingStreams<State>;
  readonly writer: BatchWriter;
}

/**
 * Decides and seals a batch, item by item in order, on what the transaction has loaded. Synchronous and without I/O.
 * Throws LeaseAgain, LEASE_EXPIRED or LEASE_CLAIM_EXHAUSTED: then the transaction rolls back and nothing has happened.
 */
export function decideBatch<Command, State>(
  batch: LeasedBatch<Command, State>,
  loaded: LoadedBatch,
): BatchOutcome {
  const streams = createWorkingStreams(batch, loaded);
  const work = { batch, loaded, streams, writer: createBatchWriter(batch, loaded) };
  const answers = batch.items.map((item) => answerItem(work, item));
  return { answers, ...work.writer.rows(), movedStreams: streams.sealMoved() };
}

function answerItem<Command, State>(
  work: Work<Command, State>,
  item: AppendItem<Command>,
): AppendAnswer {
  const lease = streamLeaseOf(work.batch, item);
  if (!lease.granted) {
    const isUnknown = lease.status === 'unknown_ticket' && !isOwnerErased(work, item);
    return { outcome: isUnknown ? 'unknown_ticket' : 'erased' };
  }
  if (isErased(work, item, lease)) return { outcome: 'erased' };
  if (item.isObservation === true) return observe(work, item, lease);
  const digest = contentDigest(
    lease.digestKey,
    item.shape.type,
    item.occurredAtMs,
    item.causationId,
    item.eventBytes,
  );
  const known = work.writer.find(item.eventId);
  if (known !== undefined) return answerKnown(known, item, lease, digest);
  const stream = work.streams.get(streamKeyOf(item, lease), lease);
  if (stream === undefined) return { outcome: 'unknown_ticket' };
  return decideItem(work, item, stream, digest);
}

/** The fences: a ticket's refuses everything for ever, a person's what belongs to the erased incarnation. */
function isErased<Command, State>(
  { batch, loaded }: Pick<Work<Command, State>, 'batch' | 'loaded'>,
  item: AppendItem<Command>,
  lease: SealLease,
): boolean {
  if (batch.family.streamKind === 'person') {
    const cutOffMs = cutOffMsOf(lease, loaded.fences);
    return cutOffMs !== undefined && item.occurredAtMs < cutOffMs;
  }
  const fence = loaded.fences.get(scopeText(lease.scope));
  const isFenced = fence !== undefined && lease.incarnation <= fence.incarnation;
  return isFenced || isOwnerErased({ batch, loaded }, item);
}

/** Whether the item opens a ticket of an erased incarnation of its owner. */
function isOwnerErased<Command, State>(
  { batch, loaded }: Pick<Work<Command, State>, 'batch' | 'loaded'>,
  item: AppendItem<Command>,
): boolean {
  if (item.ownerPart === undefined) return false;
  const owner = ownerLease(item, batch.leases.persons);
  // Refused: the owner was erased, and the tenant lets no erased person come back.
  if (owner === undefined) return true;
  const cutOffMs = cutOffMsOf(owner, loaded.fences);
  return cutOffMs !== undefined && item.occurredAtMs < cutOffMs + batch.limits.fenceSkewMs;
}

function observe<Command, State>(
  { batch, streams }: Work<Command, State>,
  item: AppendItem<Command>,
  lease: SealLease,
): AppendAnswer {
  const stream = streams.get(streamKeyOf(item, lease), lease);
  if (stream === undefined) return { outcome: 'unknown_ticket' };
  const decision = batch.family.decide(stream.state, item.command, {
    eventId: item.eventId,
    occurredAtMs: item.occurredAtMs,
    causationId: item.causationId,
    personTokens: new Map(),
  });
  if (decision.kind !== 'observed') throw new RangeError('an observation was taken for an event');
  streams.observe(stream, decision.state);
  return { outcome: 'accepted', position: stream.position };
}

function answerKnown(
  { stream }: IndexedEvent,
  item: AppendItem<unknown>,
  lease: SealLease,
  digest: Buffer,
): AppendAnswer {
  if (stream === undefined) return { outcome: 'erased' };
  const key = streamKeyOf(item, lease);
  if (stream.token !== key.token) return { outcome: 'conflict' };
  // The same person in an earlier incarnation: erased, and only not yet removed.
  if (stream.incarnation !== key.incarnation) return { outcome: 'erased' };
  // A record that was mended from the log has no digest: nothing to compare with.
  const isSame = stream.digest.length === 0 || stream.digest.equals(digest);
  return isSame ? { outcome: 'duplicate', position: stream.position } : { outcome: 'conflict' };
}

function decideItem<Command, State>(
  work: Work<Command, State>,
  item: AppendItem<Command>,
  stream: WorkingStream<State>,
  digest: Buffer,
): AppendAnswer {
  const { leases } = work.batch;
  const personKeys = personKeysOf(item, { leases, fences: work.loaded.fences });
  const decision = work.batch.family.decide(stream.state, item.command, {
    eventId: item.eventId,
    occurredAtMs: item.occurredAtMs,
    causationId: item.causationId,
    personTokens: livingTokens(personKeys),
  });
  if (decision.kind === 'unknown_ticket') return { outcome: 'unknown_ticket' };
  if (decision.kind === 'observed') throw new RangeError('an event was taken for an observation');
  if (decision.kind === 'refused') {
    return { outcome: 'invalid', reason: 'INVALID_FIELDS', violations: decision.violations };
  }
  return storeDecision(work, { item, stream, digest, personKeys }, decision);
}

interface DecidedItem<Command, State> {
  readonly item: AppendItem<Command>;
  readonly stream: WorkingStream<State>;
  readonly digest: Buffer;
  readonly personKeys: PersonKeys;
}

function storeDecision<Command, State>(
  { batch, writer, streams }: Work<Command, State>,
  { item, stream, digest, personKeys }: DecidedItem<Command, State>,
  decision: Decision<State> & { readonly kind: 'decided' },
): AppendAnswer {
  const position = stream.position + 1;
  const own = writer.seal({ item, stream, personKeys, event: decision.event, position, digest });
  const { recordBytesMax } = batch.limits;
  if (own.record.length > recordBytesMax) {
    const description = `has ${own.record.length} bytes once sealed; at most ${recordBytesMax} are possible`;
    const violations = [{ field: 'event', description }];
    return { outcome: 'invalid', reason: 'EVENT_TOO_LARGE', violations };
  }
  const derived = decision.derived.map((event, index) =>
    writer.sealDerived({ item, stream, personKeys, event, position: position + 1 + index }),
  );
  writer.write(stream, [own, ...derived]);
  writer.countPersonBoxes(stream, personKeys);
  streams.move(stream, {
    position: position + derived.length,
    state: decision.state,
    occurredAtMs: item.occurredAtMs,
  });
  return { outcome: 'accepted', position };
}
