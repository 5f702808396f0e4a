import type { Kysely } from 'kysely';
import type { TopicName } from '@lethe/proto/topics.ts';
import { failureFields, reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogBatch, LogReader, TopicPartition } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import type { ParkingOptions } from '../parking/park.ts';
import { createBackoff } from '../retry/backoff.ts';
import { isTransient } from '../retry/is-transient.ts';
import { consumerNames } from '../telemetry/attributes.ts';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import { createCatchUps } from './catch-ups.ts';
import { observeLag } from './lag.ts';
import { readStarts } from './log-end.ts';
import { watchOthersProgress } from './others-progress.ts';
import { PartitionWorker } from './partition-worker.ts';
import type { ConsumerEffect } from './port.ts';
import { createPositions, nameOf, type Positions } from './positions.ts';
import type { ConsumerSchema } from './tables.ts';
import { tracedEffect } from './traced-effect.ts';

export interface ConsumerOptions<Schema extends ConsumerSchema, Prepared> {
  /** The consumer group and the log's component: "<service>" or "<service>-<purpose>". */
  readonly name: string;
  /** Of the service's own schema, which has `createConsumerTables`. One consumer a topic and schema. */
  readonly db: Kysely<Schema>;
  readonly eventLog: EventLog;
  readonly topics: readonly TopicName[];
  /** For the owners of the topics, asked about gaps. */
  readonly peers: Peers;
  readonly effect: ConsumerEffect<Schema, Prepared>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries read at a time over all partitions. Default 500. */
  readonly recordsMax?: number;
  /** How long a read waits for entries, milliseconds. Default 1,000. */
  readonly waitMs?: number;
  /** From 0 to below 1, for the jitter of retries. Default Math.random. */
  readonly random?: () => number;
  /**
   * Poison parks its stream instead of stopping its partition; the schema has `createParkingTables`. Never for
   * privacy.v1 (docs/decisions/what-is-parked.md).
   */
  readonly parking?: ParkingOptions;
  /** Default: none. */
  readonly telemetry?: Telemetry;
}

/** Applies topics to a service's database, each record exactly once and in order of its partition. */
export interface Consumer {
  /** Starts reading. A log or database that cannot be reached yet is waited for. */
  start(): void;
  /** Finishes the batches in flight and ends; idempotent. A stopped consumer is not started again. */
  stop(): Promise<void>;
  /**
   * "partition tickets.v1/3 stopped: SEQUENCE_GAP at 17..19" for each partition that has stopped, or that has failed
   * five times in a row and still tries; undefined while healthy.
   */
  problem(): string | undefined;
  /**
   * Resolves once everything that was on the log when it was called has been applied, by this or another owner of the
   * partition. Rejects when a partition stops before that, or the consumer does, or the log cannot be reached for the
   * question. Of partitions that another process of the service has, its checkpoint in the shared database tells.
   */
  caughtUp(): Promise<void>;
}

/**
 * Composes a consumer. Partitions are independent: each has one batch in flight at most, one that
 * waits or has stopped holds up no other.
 */
export function createConsumer<Schema extends ConsumerSchema, Prepared>(
  options: ConsumerOptions<Schema, Prepared>,
): Consumer {
  // A fence that is passed over is an erasure that is never done.
  if (options.parking !== undefined && options.topics.includes('privacy.v1')) {
    throw new RangeError('privacy.v1 is never parked');
  }
  const { telemetry = noTelemetry } = options;
  return telemetry.isOn ? createTraced(options, telemetry) : new LogConsumer(options);
}

function createTraced<Schema extends ConsumerSchema, Prepared>(
  options: ConsumerOptions<Schema, Prepared>,
  telemetry: Telemetry,
): Consumer {
  const { topics, eventLog, clock } = options;
  const consumer = consumerNames.find((name) => name === options.name);
  if (consumer === undefined) throw new RangeError(`${options.name} is in no list of consumers`);
  const positions = createPositions();
  const lag = observeLag({ consumer, topics, eventLog, telemetry, clock, positions });
  const traced = { consumer, telemetry, clock, lag, system: eventLog.system };
  const effect = tracedEffect(options.effect, traced);
  return new LogConsumer({ ...options, effect }, positions);
}

const failuresToReport = 5;

interface Assigned<Schema extends ConsumerSchema, Prepared> {
  readonly worker: PartitionWorker<Schema, Prepared>;
  isBusy: boolean;
}

/** The poll loop: hands batches to the workers of their partitions. */
class LogConsumer<Schema extends ConsumerSchema, Prepared> implements Consumer {
  readonly #options: ConsumerOptions<Schema, Prepared>;
  readonly #assigned = new Map<string, Assigned<Schema, Prepared>>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #backoff = createBackoff(200, 15_000);
  readonly #catchUps = createCatchUps();
  #reader: LogReader | undefined;
  #running: Promise<void> | undefined;
  #problem: string | undefined;
  readonly #positions: Positions | undefined;

  constructor(options: ConsumerOptions<Schema, Prepared>, positions?: Positions) {
    this.#options = options;
    this.#positions = positions;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#catchUps.fail(
      new ServiceError('SHUTTING_DOWN', `consumer ${this.#options.name} stopped`),
    );
  }

  problem(): string | undefined {
    const problems = [...this.#assigned.values()].map(({ worker }) =>
      // What another member has is that member's to say.
      this.#reader?.holds?.(worker.partition) === false ? undefined : worker.problem(),
    );
    const set = [this.#problem, ...problems].filter((each) => each !== undefined);
    return set.length === 0 ? undefined : set.join('; ');
  }

  async caughtUp(): Promise<void> {
    const { topics, eventLog } = this.#options;
    const ends = new Map<string, bigint>();
    for (const topic of topics) {
      const offsets = await eventLog.endOffsets(topic);
      for (const [partition, end] of offsets.entries()) ends.set(nameOf({ topic, partition }), end);
    }
    const settled = new AbortController();
    const joined = joinSignals(settled.signal, this.#stopping.signal);
    void this.#watchOthers(ends, joined.signal);
    try {
      await this.#catchUps.wait(ends);
    } finally {
      settled.abort();
      joined.release();
    }
  }

  async #watchOthers(ends: ReadonlyMap<string, bigint>, signal: AbortSignal): Promise<void> {
    const { name, db, peers, clock, logger, topics, eventLog } = this.#options;
    const all = topics.flatMap((topic) =>
      Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => ({
        topic,
        partition,
      })),
    );
    await watchOthersProgress({
      name,
      db,
      peers,
      clock,
      logger,
      topics,
      elsewhere: () => all.filter((each) => this.#reader?.holds?.(each) === false),
      applied: (partition) => {
        this.#catchUps.note(nameOf(partition), ends.get(nameOf(partition)) ?? 0n, undefined);
      },
      signal,
    });
  }

  async #run(): Promise<void> {
    const { name, clock, logger, random = Math.random } = this.#options;
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      try {
        await this.#readUntilBroken();
      } catch (error) {
        if (stopping.aborted) return;
        const reason = reasonOf(error);
        if (!isTransient(error)) {
          this.#problem = `consumer ${name} stopped: ${reason}`;
          this.#catchUps.fail(new ServiceError(reason, this.#problem, { cause: error }));
          logger.error({ component: name, ...failureFields(error) }, 'consumer stopped');
          return;
        }
        const delayMs = Math.round(this.#backoff.next() * (0.5 + random() / 2));
        const attempt = this.#backoff.failures();
        if (attempt >= failuresToReport) this.#problem = `consumer ${name} waits: ${reason}`;
        logger.warn({ component: name, reason, attempt, delayMs }, 'consumer waits');
        await sleepQuietly(clock, delayMs, stopping);
      }
    }
  }

  /** Until it throws or the consumer stops. A reader that failed is not used again: it may have lost entries. */
  async #readUntilBroken(): Promise<void> {
    const { eventLog, name, topics, recordsMax = 500, waitMs = 1_000 } = this.#options;
    const broken = new AbortController();
    const reader = await eventLog.openReader({
      group: name,
      topics,
      startAt: (assigned) => this.#assign(assigned),
    });
    this.#reader = reader;
    const joined = joinSignals(this.#stopping.signal, broken.signal);
    const { signal } = joined;
    try {
      while (!signal.aborted) {
        for (const assigned of this.#assigned.values()) this.#noteProgress(assigned, reader);
        const batches = await reader.poll({ recordsMax, waitMs, signal });
        this.#backoff.reset();
        this.#problem = undefined;
        for (const batch of batches) this.#hand(batch, reader, broken);
      }
      broken.signal.throwIfAborted();
    } finally {
      await Promise.all(this.#inFlight);
      this.#reader = undefined;
      joined.release();
      await reader.close();
    }
  }

  async #assign(partitions: readonly TopicPartition[]): Promise<readonly bigint[]> {
    const { db, eventLog, peers, effect, clock, logger, name, parking } = this.#options;
    const { random = Math.random } = this.#options;
    const parks = parking === undefined ? {} : { parking };
    const own = { random, stopping: this.#stopping.signal };
    const ports = { name, db, peers, effect, clock, logger, ...own, ...parks };
    const starts = await readStarts(db, eventLog, partitions);
    for (const { partition, checkpoint, problem } of starts) {
      const known = this.#assigned.get(nameOf(partition))?.worker;
      known?.restartAt(checkpoint);
      const worker = known ?? new PartitionWorker(ports, partition, checkpoint);
      if (known === undefined) this.#assigned.set(nameOf(partition), { worker, isBusy: false });
      if (problem !== undefined) worker.refuse(problem);
    }
    return starts.map(({ checkpoint }) => checkpoint.nextOffset);
  }

  /** Gives a batch to its partition's worker and does not wait for it: the partition is paused meanwhile. */
  #hand(batch: LogBatch, reader: LogReader, broken: AbortController): void {
    const assigned = this.#assigned.get(nameOf(batch));
    if (assigned === undefined) {
      throw new ServiceError('INTERNAL_DEFECT', `${nameOf(batch)} was read and never assigned`);
    }
    const { worker } = assigned;
    const work = async (): Promise<void> => {
      try {
        await worker.handle(batch.entries, reader);
        // A worker that was told to stop leaves the reader where it is, perhaps ahead of what it applied.
        if (this.#stopping.signal.aborted) return;
        assigned.isBusy = false;
        this.#noteProgress(assigned, reader);
        if (worker.stopped() === undefined) reader.resume(worker.partition);
      } catch (error) {
        broken.abort(error);
      } finally {
        assigned.isBusy = false;
      }
    };
    reader.pause(worker.partition);
    assigned.isBusy = true;
    const working = work();
    this.#inFlight.add(working);
    void working.finally(() => this.#inFlight.delete(working));
  }

  /**
   * While a worker is idle, everything below the reader's position was applied: what was handed out and not applied
   * was sought back to.
   */
  #noteProgress({ worker, isBusy }: Assigned<Schema, Prepared>, reader: LogReader): void {
    // Another member may have it by now: a reader that was opened since then knows nothing of it.
    if (isBusy || reader.holds?.(worker.partition) === false) return;
    const position = worker.appliedTo(reader);
    this.#catchUps.note(nameOf(worker.partition), position, worker.stopped());
    this.#positions?.note(worker.partition, position, reader);
  }
}
