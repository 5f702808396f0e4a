import type { Kysely } from 'kysely';
import { failureFields, reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LogEntry, LogReader, TopicPartition } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import { createBackoff } from '../retry/backoff.ts';
import { type ParkingOptions, PoisonLimitError } from '../parking/park.ts';
import { isTransient } from '../retry/is-transient.ts';
import { ParkingApplier } from './apply-parking.ts';
import { type Checkpoint, compareAndSetCheckpoints, readCheckpoints } from './checkpoints.ts';
import {
  type Classified,
  classify,
  type OnUnusable,
  type SequenceSpan,
  spanText,
} from './classify.ts';
import { classifyOverErased, SequenceGapError } from './missing.ts';
import type { ConsumerEffect } from './port.ts';
import { nameOf } from './positions.ts';
import type { ConsumerSchema } from './tables.ts';

export interface WorkerPorts<Schema extends ConsumerSchema, Prepared> {
  /** Of the consumer, for the log. */
  readonly name: string;
  readonly db: Kysely<Schema>;
  readonly peers: Peers;
  readonly effect: ConsumerEffect<Schema, Prepared>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Fires when the consumer stops. */
  readonly stopping: AbortSignal;
  /** Poison stops the partition when absent. */
  readonly parking?: ParkingOptions;
}

/** Delay after the first failure and the bound of its doubling; between half of it and all of it is slept. */
const backoffMs = { first: 200, max: 15_000 };
const failuresToReport = 5;

/** Applies what is read of one partition. It has one batch at a time: the caller pauses the partition meanwhile. */
export class PartitionWorker<Schema extends ConsumerSchema, Prepared> {
  readonly partition: TopicPartition;
  readonly #ports: WorkerPorts<Schema, Prepared>;
  readonly #backoff = createBackoff(backoffMs.first, backoffMs.max);
  readonly #parking: ParkingApplier<Schema, Prepared> | undefined;
  readonly #onUnusable: OnUnusable;
  #checkpoint: Checkpoint;
  /** Where the gap begins that made us read again from the checkpoint. */
  #rereadFor: bigint | undefined;
  /** What is being worked on, for the message when it fails. */
  #span: SequenceSpan | undefined;
  #stopped: ServiceError | undefined;
  #problem: string | undefined;

  constructor(
    ports: WorkerPorts<Schema, Prepared>,
    partition: TopicPartition,
    checkpoint: Checkpoint,
  ) {
    this.#ports = ports;
    this.partition = partition;
    this.#checkpoint = checkpoint;
    const { parking } = ports;
    this.#onUnusable = parking === undefined ? 'stop' : 'collect';
    if (parking !== undefined) this.#parking = new ParkingApplier({ ...ports, parking }, partition);
  }

  /** The partition was assigned anew: its checkpoint may have been moved by another owner. */
  restartAt(checkpoint: Checkpoint): void {
    this.#goTo(checkpoint, this.#checkpoint);
  }

  /** Set once the partition has stopped for good; names topic, partition, reason and sequences. */
  stopped(): ServiceError | undefined {
    return this.#stopped;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  /** Everything below was applied while nothing is in flight; of a log that ended before the checkpoint nothing ever is. */
  appliedTo(reader: LogReader): bigint {
    return this.#stopped?.reason === 'LOG_BEHIND_CHECKPOINT'
      ? -1n
      : reader.position(this.partition);
  }

  /** Its log ends before its checkpoint, and `problem` says where: it stops until the process starts anew (log-end.ts). */
  refuse(problem: string): void {
    if (this.#stopped !== undefined) return;
    const reason = 'LOG_BEHIND_CHECKPOINT';
    this.#problem = `partition ${nameOf(this.partition)} stopped: ${reason}`;
    this.#stopped = new ServiceError(reason, this.#problem, { problem });
    const { name, logger } = this.#ports;
    logger.error({ component: name, ...this.partition, reason, problem }, 'partition stopped');
  }

  /**
   * Applies entries, or leaves the reader where the checkpoint is, so that they are handed out again. Waits out a
   * retryable failure before it resolves; never rejects. If the process dies at any point the next start reads from
   * the stored checkpoint, which moves only together with the effect.
   */
  async handle(entries: readonly LogEntry[], reader: LogReader): Promise<void> {
    if (this.#stopped !== undefined) {
      // Read once more by a new reader: nothing is applied behind what stopped it.
      reader.seek(this.partition, this.#checkpoint.nextOffset);
      return;
    }
    this.#span = undefined;
    const from = this.#checkpoint;
    try {
      await this.#advance(entries, reader);
      this.#backoff.reset();
      this.#problem = undefined;
    } catch (error) {
      await this.#recover(error, from, reader);
    }
  }

  async #advance(entries: readonly LogEntry[], reader: LogReader): Promise<void> {
    const found = await this.#classify(entries);
    await this.#apply(found, entries);
    if (found.malformed !== undefined) {
      this.#span = { from: found.malformed, to: found.malformed };
      throw new ServiceError('RECORD_MALFORMED');
    }
    if (found.gap !== undefined) {
      // A jump may only say that entries were handed out twice or not at all: look at the log once more. Should the
      // process die before it has, the next start sees the jump for the first time.
      this.#rereadFor = found.gap.from;
      reader.seek(this.partition, this.#checkpoint.nextOffset);
    }
  }

  async #classify(entries: readonly LogEntry[]): Promise<Classified> {
    const found = classify(this.#checkpoint, entries, [], this.#onUnusable);
    if (found.gap === undefined || found.gap.from !== this.#rereadFor) return found;
    this.#span = found.gap;
    const { peers, stopping } = this.#ports;
    const { partition } = this;
    const onUnusable = this.#onUnusable;
    return classifyOverErased(peers, partition, this.#checkpoint, entries, stopping, onUnusable);
  }

  async #apply(found: Classified, entries: readonly LogEntry[]): Promise<void> {
    const { db, effect } = this.#ports;
    const { fresh, next } = found;
    const from = this.#checkpoint;
    const [first, last] = [fresh.at(0), fresh.at(-1)];
    if (this.#parking !== undefined) {
      if (first !== undefined && last !== undefined) {
        this.#span = { from: first.sequence, to: last.sequence };
      }
      const moved = (checkpoint: Checkpoint): void => {
        this.#checkpoint = checkpoint;
      };
      await this.#parking.apply({ from, found, entries, moved });
      return;
    }
    const move = { ...this.partition, from, to: next };
    if (first === undefined || last === undefined) {
      // Only tombstone records, ticks and duplicates. Dying before the commit means looking at them again.
      if (next.nextOffset === from.nextOffset) return;
      await db.transaction().execute((tx) => compareAndSetCheckpoints(tx, [move]));
      this.#checkpoint = next;
      return;
    }
    this.#span = { from: first.sequence, to: last.sequence };
    // Dies in here: nothing is stored; the same records are prepared again.
    const prepared = await effect.prepare(this.partition, fresh);
    try {
      await db.transaction().execute(async (tx) => {
        // Dies in here: PostgreSQL rolls back effect and checkpoint together. Another owner that was faster makes the
        // compare-and-set throw before anything is applied twice.
        await compareAndSetCheckpoints(tx, [move]);
        await effect.apply(tx, prepared);
      });
    } catch (error) {
      effect.abandoned?.(prepared, error);
      throw error;
    }
    // Dies here, or the connection is lost so that nobody knows whether it was committed: the checkpoint that is read
    // next says so.
    this.#checkpoint = next;
    // Dies here: the call is lost, and the effect's own loops find the work.
    effect.committed?.(prepared);
  }

  /** After a failure: read the checkpoint, which alone says what was applied, and go there; or stop the partition. */
  async #recover(error: unknown, from: Checkpoint, reader: LogReader): Promise<void> {
    const { db, stopping } = this.#ports;
    let failure = error;
    // While stopping, whatever failed is found again from the checkpoint by the next start.
    while (!stopping.aborted) {
      if (!isTransient(failure) && !isMendedElsewhere(failure)) {
        this.#stop(failure, reader);
        return;
      }
      await this.#rest(failure);
      if (stopping.aborted) return;
      try {
        const [checkpoint] = await readCheckpoints(db, [this.partition]);
        if (checkpoint !== undefined) this.#goTo(checkpoint, from);
        reader.seek(this.partition, this.#checkpoint.nextOffset);
        return;
      } catch (again) {
        failure = again;
      }
    }
  }

  /** `from` is where the work began that failed: a new assignment may have moved the worker on in between. */
  #goTo(checkpoint: Checkpoint, from: Checkpoint): void {
    // Another owner got past it; perhaps nothing is left to hand out here, whose success would say so.
    const isPast = checkpoint.nextOffset > from.nextOffset;
    if (isPast && this.#stopped === undefined) this.#problem = undefined;
    this.#checkpoint = checkpoint;
  }

  async #rest(failure: unknown): Promise<void> {
    const { clock, logger, name, random, stopping } = this.#ports;
    const boundMs = this.#backoff.next();
    const attempt = this.#backoff.failures();
    const reason = reasonOf(failure);
    // Nothing is wrong when another owner was faster: go on at once where it stands, but not for ever in a circle.
    const wasSlower = reason === 'CHECKPOINT_MOVED';
    const atOnce = wasSlower && attempt === 1;
    const askedMs = (failure instanceof ServiceError ? failure.retryDelayMs : undefined) ?? 0;
    const jitteredMs = Math.round(boundMs * (0.5 + random() / 2));
    const delayMs = atOnce ? 0 : Math.max(askedMs, jitteredMs);
    if (attempt >= failuresToReport && !wasSlower) {
      this.#problem = `partition ${nameOf(this.partition)} waits: ${reason}, attempt ${attempt}`;
    }
    logger.warn({ ...this.#fields(name), reason, attempt, delayMs }, 'partition waits');
    if (delayMs > 0) await sleepQuietly(clock, delayMs, stopping);
  }

  #stop(failure: unknown, reader: LogReader): void {
    const { name, logger } = this.#ports;
    if (failure instanceof SequenceGapError) this.#span = failure.gap;
    if (failure instanceof PoisonLimitError) {
      this.#span = { from: failure.sequence, to: failure.sequence };
    }
    const reason = reasonOf(failure);
    const where = this.#span === undefined ? '' : ` at ${spanText(this.#span)}`;
    this.#problem = `partition ${nameOf(this.partition)} stopped: ${reason}${where}`;
    this.#stopped = new ServiceError(reason, this.#problem, { cause: failure });
    reader.seek(this.partition, this.#checkpoint.nextOffset);
    // Reason and place and no more: an effect's error may have seen what it opened.
    logger.error({ ...this.#fields(name), ...failureFields(failure) }, 'partition stopped');
  }

  #fields(component: string) {
    const sequence = this.#span === undefined ? {} : { sequence: spanText(this.#span) };
    return { component, ...this.partition, ...sequence };
  }
}

/**
 * What is no fault of a record or of what is stored, and whose mending needs no restart: the partition shows its problem
 * and waits. One that stopped would hold up tenants and erasures until somebody thought of this process.
 */
function isMendedElsewhere(failure: unknown): boolean {
  return failure instanceof ServiceError && failure.reason === 'KMS_MISCONFIGURED';
}
