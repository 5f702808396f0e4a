import { compareAndSetCheckpoints, readCheckpoints } from '@lethe/platform/consumer/checkpoints.ts';
import { failureText } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog, LogReader, TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import {
  BreakerTripped,
  GuessOutdated,
  type ParkingOptions,
  parkInTransaction,
  PoisonLimitError,
} from '@lethe/platform/parking/park.ts';
import { guessAfter, logParked, type ParkingGuess } from '@lethe/platform/parking/plan.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  type AnalyticsDatabase,
  type AnalyticsTransaction,
  insertSkips,
  type SkippedSequence,
} from '../store.ts';
import { analyticsParking } from './analytics-parking.ts';
import { commitChunk, type CommittedChunk } from './commit-chunk.ts';
import { countChunk, type CountedPartition } from './count-chunk.ts';
import { createInserter, type Inserter } from './inserter.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import { partitionName } from './partition-name.ts';
import { cutBefore, readChunk, type ReadPartition } from './read-chunk.ts';
import { tellingOfFailure } from './telling-reader.ts';
import { refuseBehind, type Refused } from './refuse-behind.ts';

export interface ProjectionPorts {
  readonly db: AnalyticsDatabase;
  readonly eventLog: EventLog;
  readonly ledger: Pick<Ledger, 'insert'>;
  readonly keyClient: Pick<KeyClient, 'leaseForOpen'>;
  /** Owners of the topics, asked about gaps. */
  readonly peers: Peers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly createManifestId: () => string;
  readonly topics: readonly TopicName[];
  /** For tests; the projection's own by default. */
  readonly parking?: ParkingOptions;
  readonly watch?: ChunkWatch;
  /** For all that this process opens, one after another; its own by default. */
  readonly refused?: Refused;
  readonly chunk: {
    readonly recordsMax: number;
    /** How long a chunk is filled after its first entry. */
    readonly fillMs: number;
    /** How long a round waits for a first entry. */
    readonly idleMs: number;
  };
}

/** Sees chunks as they go, for telemetry; changes nothing. */
export interface ChunkWatch {
  /** Runs the work on a chunk that was read, and answers what it does. */
  around<Result>(read: readonly ReadPartition[], work: () => Promise<Result>): Promise<Result>;
  /** Everything below the reader's position in this partition was applied. */
  applied(partition: TopicPartition, reader: LogReader): void;
}

/** The way from the log into the ledger, in rounds. */
export interface Projection {
  /**
   * One chunk: read, open, commit, insert. Answers how many records it committed. After it threw, the next round reads
   * the checkpoints anew and finishes what was committed and not inserted. It does not throw while the ledger refuses.
   */
  round(signal: AbortSignal): Promise<number>;
  /** The partitions that stopped, and why; or why the ledger stands still. */
  problem(): string | undefined;
  /** Its reader failed and reads no more: close it and open another at the checkpoints. */
  isBroken(): boolean;
  close(): Promise<void>;
}

/** Opens the reader at this service's checkpoints. One round at a time. */
export async function openProjection(ports: ProjectionPorts): Promise<Projection> {
  const owned = new OwnedPartitions();
  const parked = new Map<string, ParkingGuess>();
  let isBroken = false;
  const opened = await ports.eventLog.openReader({
    group: 'analytics-projection',
    topics: ports.topics,
    startAt: async (assigned) => {
      const checkpoints = await loadCheckpoints(ports.db, assigned, owned);
      await refuseBehind(ports, owned, assigned, checkpoints);
      return checkpoints.map(({ nextOffset }) => nextOffset);
    },
  });
  const reader = tellingOfFailure(opened, () => (isBroken = true));
  const inserter = createInserter(ports);
  // A start is like the time after a failure.
  let hasFailed = true;
  return {
    round: async (signal) => {
      if (hasFailed) await reload(ports.db, reader, owned);
      const isDue = hasFailed;
      hasFailed = true;
      await inserter.catchUp({ isDue });
      const records = await projectChunk({ ...ports, inserter }, reader, owned, parked, signal);
      hasFailed = false;
      if (ports.watch !== undefined) tellApplied(ports.watch, opened, owned);
      return records;
    },
    problem: () => owned.problem() ?? inserter.problem(),
    isBroken: () => isBroken,
    close: async () => reader.close(),
  };
}

function tellApplied(watch: ChunkWatch, reader: LogReader, owned: OwnedPartitions): void {
  for (const partition of owned.all()) {
    const isHeld = reader.holds?.(partition) !== false;
    if (isHeld && partition.problem === undefined) watch.applied(partition, reader);
  }
}

interface ChunkPorts extends ProjectionPorts {
  readonly inserter: Inserter;
}

/**
 * The steps of a chunk.
 * 1. Read and classify, 2. lease, open and count: change nothing; whatever fails, the chunk is read again.
 * 3. Commit: see commit-chunk.ts; what is poison is parked in it. From here on the chunk is never folded again.
 * 4. Insert and mark done: see inserter.ts; repeated until it is done, with the committed bytes.
 */
async function projectChunk(
  ports: ChunkPorts,
  reader: LogReader,
  owned: OwnedPartitions,
  parked: Map<string, ParkingGuess>,
  signal: AbortSignal,
): Promise<number> {
  const { clock, peers, chunk, watch } = ports;
  const read = await readChunk({ reader, owned, peers, clock, ...chunk }, signal);
  const work = async () => await foldChunk(ports, reader, owned, parked, read);
  return watch === undefined ? await work() : await watch.around(read, work);
}

async function foldChunk(
  ports: ChunkPorts,
  reader: LogReader,
  owned: OwnedPartitions,
  parked: Map<string, ParkingGuess>,
  read: readonly ReadPartition[],
): Promise<number> {
  const { counted, moved, committed } = await countAndCommit(ports, read, parked);
  for (const part of moved) {
    owned.get(part).checkpoint = part.to;
    parked.set(partitionName(part.topic, part.partition), guessAfter(part.plan));
    const { topic, partition, plan } = part;
    logParked(ports.logger, { component: 'projection', topic, partition }, plan);
  }
  for (const part of counted) stopWhereBroken(ports.logger, reader, owned, part);
  if (committed !== undefined) await ports.inserter.insert(committed);
  return moved.reduce((sum, { fresh, unusable }) => sum + fresh.length + unusable.length, 0);
}

/** Again when something was parked or replayed meanwhile, and without what a breaker refused. */
async function countAndCommit(
  ports: ProjectionPorts,
  given: readonly ReadPartition[],
  parked: Map<string, ParkingGuess>,
) {
  let read = given;
  for (;;) {
    const counted = await countChunk(ports.keyClient, read, parked);
    const moved = counted.filter(({ from, to }) => to.nextOffset > from.nextOffset);
    try {
      return { counted, moved, committed: await commitMoved(ports, moved) };
    } catch (error) {
      if (error instanceof GuessOutdated) {
        const { topic, partition } = error.partition;
        parked.set(partitionName(topic, partition), error.guess);
      } else if (error instanceof BreakerTripped) {
        read = read.map((part) => cutAtBreaker(part, error));
      } else throw error;
    }
  }
}

function cutAtBreaker(part: ReadPartition, { partition, sequence }: BreakerTripped): ReadPartition {
  if (part.topic !== partition.topic || part.partition !== partition.partition) return part;
  return cutBefore(part, sequence, failureText(new PoisonLimitError(partition, sequence)));
}

async function commitMoved(
  ports: ProjectionPorts,
  given: readonly CountedPartition[],
): Promise<CommittedChunk | undefined> {
  const { db, clock, createManifestId } = ports;
  if (given.length === 0) return undefined;
  // One order for ever, whatever the log handed out first: a rebuild folds the chunk again in the same.
  const moved = given.toSorted(byPartition);
  const ranges = moved.flatMap(({ topic, partition, from, to, records }) =>
    to.sequence === from.sequence
      ? []
      : {
          topic,
          partition,
          firstSequence: from.sequence + 1n,
          lastSequence: to.sequence,
          records,
        },
  );
  const nowMs = clock.nowMs();
  const advanceCheckpoints = async (tx: AnalyticsTransaction): Promise<void> => {
    await compareAndSetCheckpoints(tx, moved);
    const parking = ports.parking ?? analyticsParking;
    await parkInTransaction(tx, parking, moved.map(toParkOf), { nowMs });
    await insertSkips(tx, moved.flatMap(skipsOf));
  };
  // Only tombstone records, ticks or duplicates: the offsets move and nothing was counted.
  if (ranges.length === 0) {
    await db.transaction().execute(advanceCheckpoints);
    return undefined;
  }
  const events = moved.flatMap((part) => part.events);
  return commitChunk({ db, clock, createManifestId, advanceCheckpoints }, { ranges, events });
}

function byPartition(left: CountedPartition, right: CountedPartition): number {
  if (left.topic === right.topic) return left.partition - right.partition;
  return left.topic < right.topic ? -1 : 1;
}

function toParkOf({ topic, partition, from, to, entries, plan }: CountedPartition) {
  const tombstones = entries.flatMap((entry) =>
    entry.kind === 'tombstone' && entry.offset < to.nextOffset ? [entry.eventId] : [],
  );
  return { topic, partition, plan, after: from.sequence, tombstones };
}

/** What lies in the part's range and was not folded there. */
function skipsOf({ topic, partition, plan }: CountedPartition): readonly SkippedSequence[] {
  const entries = [...plan.toPark.map(({ entry }) => entry), ...plan.passed];
  return entries.map(({ sequence }) => ({ topic, partition, sequence }));
}

function stopWhereBroken(
  logger: Logger,
  reader: LogReader,
  owned: OwnedPartitions,
  { topic, partition, problem }: CountedPartition,
): void {
  if (problem === undefined) return;
  reader.pause({ topic, partition });
  owned.get({ topic, partition }).problem = `partition ${topic}/${partition} stopped: ${problem}`;
  logger.error({ topic, partition, problem }, 'partition stopped; the others go on');
}

async function loadCheckpoints(
  db: AnalyticsDatabase,
  partitions: readonly TopicPartition[],
  owned: OwnedPartitions,
) {
  const checkpoints = await readCheckpoints(db, partitions);
  partitions.forEach((partition, index) => {
    const checkpoint = checkpoints[index];
    if (checkpoint === undefined) throw new ServiceError('INTERNAL_DEFECT', 'a checkpoint lacks');
    owned.assign(partition, checkpoint);
  });
  return checkpoints;
}

/** After a failure, or when another owner was faster: what is committed is in the database, nowhere else. */
async function reload(
  db: AnalyticsDatabase,
  reader: LogReader,
  owned: OwnedPartitions,
): Promise<void> {
  const partitions = owned.all().filter(({ problem }) => problem === undefined);
  await loadCheckpoints(db, partitions, owned);
  for (const partition of partitions) {
    reader.seek(partition, owned.get(partition).checkpoint.nextOffset);
  }
}
