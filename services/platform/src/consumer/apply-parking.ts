import type { Kysely } from 'kysely';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import type { LogEntry, TopicPartition } from '../event-log/port.ts';
import { isTenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import {
  BreakerTripped,
  GuessOutdated,
  type ParkingOptions,
  parkInTransaction,
  PoisonLimitError,
} from '../parking/park.ts';
import {
  createParkingPlan,
  guessAfter,
  logParked,
  nothingParked,
  type ParkingGuess,
  type ParkingPlan,
  type RecordEntry,
} from '../parking/plan.ts';
import { envelopePoisonOf, poisonReasonOf } from '../parking/poison.ts';
import { type Checkpoint, compareAndSetCheckpoints } from './checkpoints.ts';
import type { Classified } from './classify.ts';
import type { ConsumerEffect, NewRecord } from './port.ts';
import type { ConsumerSchema } from './tables.ts';

export interface ApplyParkingPorts<Schema extends ConsumerSchema, Prepared> {
  readonly name: string;
  readonly db: Kysely<Schema>;
  readonly effect: ConsumerEffect<Schema, Prepared>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly parking: ParkingOptions;
}

/** A new record; `poison` is set once it is known that it cannot be applied. */
interface Candidate {
  readonly entry: RecordEntry;
  readonly record: LogRecord | undefined;
  readonly poison: Reason | undefined;
}

/** Records that are committed together, and how the checkpoint moves with them. */
interface Piece {
  readonly from: Checkpoint;
  readonly to: Checkpoint;
  readonly candidates: readonly Candidate[];
}

interface Sorted {
  readonly plan: ParkingPlan;
  readonly toTry: readonly (Candidate & { readonly record: LogRecord })[];
}

/** What is applied of a batch; `moved` is told of every checkpoint that was committed. */
export interface BatchToApply {
  readonly from: Checkpoint;
  readonly found: Classified;
  readonly entries: readonly LogEntry[];
  readonly moved: (checkpoint: Checkpoint) => void;
}

/**
 * Applies the batches of one partition and parks what is poison, with everything behind it of the same stream. An
 * effect that fails is tried on halves of the batch until the record is alone that makes it fail: each half is a
 * transaction with its own step of the checkpoint, so that what was applied stays so, exactly once, whatever happens.
 */
export class ParkingApplier<Schema extends ConsumerSchema, Prepared> {
  readonly #ports: ApplyParkingPorts<Schema, Prepared>;
  readonly #partition: TopicPartition;
  #guess: ParkingGuess = nothingParked;

  constructor(ports: ApplyParkingPorts<Schema, Prepared>, partition: TopicPartition) {
    this.#ports = ports;
    this.#partition = partition;
  }

  /**
   * Throws what may succeed later, and what is not the fault of a record; PoisonLimitError when the breaker tripped.
   * Whatever was committed before that was told to `moved`.
   */
  async apply({ from, found, entries, moved }: BatchToApply): Promise<void> {
    const piece = { from, to: found.next, candidates: candidatesOf(found, entries) };
    await this.#applyPiece(piece, { entries, moved });
  }

  async #applyPiece(given: Piece, batch: Pick<BatchToApply, 'entries' | 'moved'>): Promise<void> {
    let piece = given;
    if (piece.to.nextOffset === piece.from.nextOffset) return;
    for (;;) {
      const sorted = sort(piece.candidates, this.#guess);
      try {
        await this.#commit(piece, sorted, batch.entries);
        batch.moved(piece.to);
        return;
      } catch (error) {
        if (error instanceof GuessOutdated) {
          this.#guess = error.guess;
          continue;
        }
        const cutAt = cutOf(error, sorted);
        if (cutAt === undefined) {
          const reason = poisonReasonOf(error);
          const [alone] = sorted.toTry;
          if (reason === undefined || alone === undefined) throw error;
          piece = withPoison(piece, alone, reason);
          continue;
        }
        const [before, behind] = cut(piece, cutAt);
        await this.#applyPiece(before, batch);
        if (error instanceof BreakerTripped) throw new PoisonLimitError(this.#partition, cutAt);
        await this.#applyPiece(behind, batch);
        return;
      }
    }
  }

  async #commit(
    { from, to, candidates }: Piece,
    { plan, toTry }: Sorted,
    entries: readonly LogEntry[],
  ): Promise<void> {
    const { name, db, effect, clock, logger, parking } = this.#ports;
    const part = {
      ...this.#partition,
      plan,
      after: from.sequence,
      tombstones: keysBelow(entries, to),
    };
    const nowMs = clock.nowMs();
    const tenantIds = plan.toPark.length === 0 ? [] : tenantsOf(candidates);
    // Dies in here: nothing is stored; the same records are prepared again.
    const prepared =
      toTry.length === 0 ? [] : [await effect.prepare(this.#partition, newRecordsOf(toTry))];
    try {
      await db.transaction().execute(async (tx) => {
        // Dies in here: effect, parked records and checkpoint are rolled back together.
        await compareAndSetCheckpoints(tx, [{ ...this.#partition, from, to }]);
        await parkInTransaction(tx, parking, [part], { nowMs, tenantIds });
        for (const each of prepared) await effect.apply(tx, each);
      });
    } catch (error) {
      const isPlan = error instanceof GuessOutdated || error instanceof BreakerTripped;
      for (const each of prepared) effect.abandoned?.(each, isPlan ? undefined : error);
      throw error;
    }
    // Dies here: the next start reads the checkpoint, and the guess is made anew.
    this.#guess = guessAfter(plan);
    logParked(logger, { component: name, ...this.#partition }, plan);
    for (const each of prepared) effect.committed?.(each);
  }
}

function candidatesOf({ fresh, unusable }: Classified, entries: readonly LogEntry[]): Candidate[] {
  const bySequence = new Map<bigint, RecordEntry>();
  for (const entry of entries) if (entry.kind === 'record') bySequence.set(entry.sequence, entry);
  const usable = fresh.flatMap(({ sequence, record }) => {
    const entry = bySequence.get(sequence);
    return entry === undefined ? [] : [{ entry, record, poison: envelopePoisonOf(record) }];
  });
  const others = unusable.map(({ entry, record, reason }) => ({ entry, record, poison: reason }));
  if (others.length === 0) return usable;
  return [...usable, ...others].toSorted((a, b) => (a.entry.sequence < b.entry.sequence ? -1 : 1));
}

function sort(candidates: readonly Candidate[], guess: ParkingGuess): Sorted {
  const plan = createParkingPlan(guess);
  const toTry: (Candidate & { readonly record: LogRecord })[] = [];
  for (const candidate of candidates) {
    const { entry, record, poison } = candidate;
    if (!plan.mayTry(record, () => entry)) continue;
    if (record !== undefined && poison === undefined) toTry.push({ ...candidate, record });
    else plan.park(record, entry, poison ?? 'RECORD_MALFORMED');
  }
  return { plan, toTry };
}

/** Where to cut after a failure: before the event too many, or in the middle of what was tried; undefined: nowhere. */
function cutOf(error: unknown, { toTry }: Sorted): bigint | undefined {
  if (error instanceof BreakerTripped) return error.sequence;
  if (poisonReasonOf(error) === undefined || toTry.length < 2) return undefined;
  return toTry[Math.floor(toTry.length / 2)]?.entry.sequence;
}

/** The part of a piece before a sequence, and the part from it on. */
function cut({ from, to, candidates }: Piece, at: bigint): readonly [before: Piece, behind: Piece] {
  const before = candidates.filter(({ entry }) => entry.sequence < at);
  const behind = candidates.filter(({ entry }) => entry.sequence >= at);
  const last = before.at(-1)?.entry;
  const offset = behind[0]?.entry.offset ?? to.nextOffset;
  const middle = {
    sequence: last?.sequence ?? from.sequence,
    // Entries that are handed out again lie below the checkpoint's offset: it never goes back.
    nextOffset: offset > from.nextOffset ? offset : from.nextOffset,
  };
  return [
    { from, to: middle, candidates: before },
    { from: middle, to, candidates: behind },
  ];
}

function withPoison(piece: Piece, alone: Candidate, poison: Reason): Piece {
  const candidates = piece.candidates.map((each) =>
    each.entry === alone.entry ? { ...each, poison } : each,
  );
  return { ...piece, candidates };
}

function newRecordsOf(candidates: Sorted['toTry']): readonly NewRecord[] {
  return candidates.map(({ entry: { sequence, offset }, record }) => ({
    sequence,
    offset,
    record,
  }));
}

function tenantsOf(candidates: readonly Candidate[]) {
  const named = candidates.flatMap(({ record }) => record?.header?.tenantId ?? []);
  return [...new Set(named)].filter(isTenantId);
}

function keysBelow(
  entries: readonly LogEntry[],
  { nextOffset }: Checkpoint,
): readonly Uint8Array[] {
  return entries.flatMap((entry) =>
    entry.kind === 'tombstone' && entry.offset < nextOffset ? [entry.eventId] : [],
  );
}
