import type { Transaction } from 'kysely';
import { lockFencesShared } from '../database/fence-lock.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TopicPartition } from '../event-log/port.ts';
import { isTenantId, type TenantId } from '../ids/ids.ts';
import { type BreakerLimits, breakerLimits, findTrip } from './breaker.ts';
import type { ParkingGuess, ParkingPlan } from './plan.ts';
import { incarnationText } from './stream-name.ts';
import {
  dropTombstoned,
  insertParked,
  readFencedStreams,
  readParkedPlaces,
  readParkedStreams,
  type StreamKind,
} from './store.ts';

/** What a consumer says of itself to park. */
export interface ParkingOptions {
  /** Whose fence lock is taken. */
  readonly service: string;
  /** The kind of scope that protects the streams of a topic. */
  readonly streamKindOf: (topic: string) => StreamKind;
  /** For tests; default: `breakerLimits`. */
  readonly limits?: BreakerLimits;
}

/** What one partition of a transaction parks. */
export interface PartitionToPark extends TopicPartition {
  readonly plan: ParkingPlan;
  /** The last sequence that was applied before this transaction. */
  readonly after: bigint;
  /** Keys of the tombstone records that the transaction passes. */
  readonly tombstones: readonly Uint8Array[];
}

/** The plan was made on another state than the stored one: nothing may be committed, plan again with this. */
export class GuessOutdated extends Error {
  override readonly name = 'GuessOutdated';
  readonly partition: TopicPartition;
  readonly guess: ParkingGuess;

  constructor(partition: TopicPartition, guess: ParkingGuess) {
    super('what is parked changed meanwhile');
    this.partition = partition;
    this.guess = guess;
  }
}

/** Parking this event would be too much: commit what lies before it, and stop the partition there. */
export class BreakerTripped extends Error {
  override readonly name = 'BreakerTripped';
  readonly partition: TopicPartition;
  readonly sequence: bigint;

  constructor(partition: TopicPartition, sequence: bigint) {
    super(`the breaker tripped at ${sequence}`);
    this.partition = partition;
    this.sequence = sequence;
  }
}

/** What a partition stops with when its breaker tripped. */
export class PoisonLimitError extends ServiceError {
  /** The event that would have been one too many. */
  readonly sequence: bigint;

  constructor({ topic, partition }: TopicPartition, sequence: bigint) {
    super(
      'POISON_LIMIT',
      `${topic}/${partition}: with ${sequence} there are 100 poison events in a row, or more than 1 % of 10,000`,
    );
    this.sequence = sequence;
  }
}

/**
 * Within the transaction that moves the checkpoints, after their compare-and-set and before the effect: holds the plans
 * against what is stored, and stores what is to be parked. Throws GuessOutdated or BreakerTripped; then nothing may be
 * committed.
 *
 * Only an owner of the partition parks, and the compare-and-set has shown that no other was faster; a replay takes
 * records away under a lock of the checkpoint's row, and an erasure under the fence lock, so what something is put
 * behind stays until this transaction ends. If the process dies in here, checkpoint and parked records are rolled back
 * together: the records are read again and parked once.
 *
 * `tenantIds`: every tenant whose fence lock the effect will take, so that all are taken in one order.
 */
export async function parkInTransaction<Schema>(
  tx: Transaction<Schema>,
  { service, streamKindOf, limits = breakerLimits }: ParkingOptions,
  parts: readonly PartitionToPark[],
  { nowMs, tenantIds = [] }: { readonly nowMs: number; readonly tenantIds?: readonly TenantId[] },
): Promise<void> {
  const parking = parts.filter(({ plan }) => plan.toPark.length > 0);
  const parkedTenants = parking.flatMap(({ plan }) =>
    plan.toPark.flatMap(({ tenantId }) => (isTenantId(tenantId) ? [tenantId] : [])),
  );
  if (parking.length > 0) await lockFencesShared(tx, service, [...parkedTenants, ...tenantIds]);
  // Afterwards: an erasure that was under way has dropped what it drops, and nothing is put behind that.
  const stored = await readParkedStreams(tx, parts);
  for (const [index, part] of parts.entries()) {
    const parked = stored[index] ?? new Set();
    if (!isSame(parked, part.plan.guess.parked)) {
      throw new GuessOutdated(part, { parked, fenced: part.plan.guess.fenced });
    }
  }
  for (const part of parking) {
    await refuseFenced(tx, streamKindOf(part.topic), part);
    await insertParked(tx, part, part.plan.toPark, nowMs);
    const places = await readParkedPlaces(tx, part, part.after - limits.windowEvents);
    const trip = findTrip(places, part.after, limits);
    if (trip !== undefined) throw new BreakerTripped(part, trip);
  }
  for (const [index, part] of parts.entries()) {
    const isAnyParked = part.plan.toPark.length > 0 || (stored[index]?.size ?? 0) > 0;
    if (isAnyParked && part.tombstones.length > 0) await dropTombstoned(tx, part, part.tombstones);
  }
}

/** Nothing of an erased stream is parked: its job may have looked already, and nobody would drop it. */
async function refuseFenced<Schema>(
  tx: Transaction<Schema>,
  kind: StreamKind,
  part: PartitionToPark,
): Promise<void> {
  const fenced = await readFencedStreams(tx, kind, part.plan.toPark);
  if (fenced.length === 0) return;
  const { guess } = part.plan;
  throw new GuessOutdated(part, {
    parked: guess.parked,
    fenced: new Set([...guess.fenced, ...fenced.map(incarnationText)]),
  });
}

function isSame(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  return left.size === right.size && [...left].every((each) => right.has(each));
}
