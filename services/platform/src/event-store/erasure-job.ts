import type { Kysely, Transaction } from 'kysely';
import {
  type PartitionProgress,
  ProjectionServiceService,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { failureFields } from '../errors/failure.ts';
import type { Peer } from '../grpc/handler.ts';
import type { TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import { enqueue } from '../outbox/enqueue.ts';
import { recordErased } from '../outbox/erased-ranges.ts';
import type { OutboxRow } from '../outbox/port.ts';
import { storeReceipt } from '../receipts/receipts.ts';
import {
  addToJob,
  advance,
  deleteStreams,
  detachRecords,
  type ErasedRecord,
  type ErasedStream,
  type ErasureJob,
  finishJob,
  hasPendingRecords,
  isAnyErased,
  lockJob,
  markLedgerIncomplete,
  nextRecords,
  nextStreams,
  openJobs,
  readHeadsOf,
  storeHeads,
  takePersonBoxes,
} from './erasure-store.ts';
import type { EventFamily } from './family.ts';
import { createLedgerWait, type LedgerWait } from './ledger-wait.ts';
import type { EventStoreSchema } from './tables.ts';

export interface ErasureJobPorts {
  readonly family: Pick<EventFamily<never, never>, 'service' | 'topic' | 'streamKind'>;
  readonly db: Kysely<EventStoreSchema>;
  /** Analytics. */
  readonly analytics: Peer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Wake the relay. */
  readonly onEnqueued: () => void;
  /** Wake the receipt sender. */
  readonly onReceipt: () => void;
  /** Drops what a consumer of this service has parked of these streams; answers how many records. */
  readonly dropParked?: (
    tx: Transaction<EventStoreSchema>,
    tenantId: TenantId,
    streams: readonly ErasedStream[],
  ) => Promise<number>;
  /** Partitions that got tombstone records are owed ticks later on, where the log's files need that. */
  readonly oweTicks?: (
    tx: Transaction<EventStoreSchema>,
    partitions: readonly number[],
  ) => Promise<void>;
}

/** A page removes at most this many records, in one transaction. */
const recordsPerPageMax = 500;
const streamsPerPageMax = 200;
const jobsPerPageMax = 20;
const pollMs = 500;
const progressTimeoutMs = 5_000;

type StepOutcome = 'moved' | 'waiting';

/**
 * The loop that removes what erasures left. Each step is one transaction that also notes how far the
 * job has come: a process that dies goes on from the last page. While it waits, the erased records are already
 * unreadable; they stay so that totals keep them.
 */
export function createErasureJobs(ports: ErasureJobPorts): Loop {
  const ledgerWait = createLedgerWait(ports.clock);
  return createLoop({
    name: 'erasure-jobs',
    clock: ports.clock,
    pollMs,
    run: () => runErasureRound(ports, ledgerWait),
    onError: (error, delayMs) => {
      ports.logger.error(
        { component: 'erasure-jobs', ...failureFields(error), delayMs },
        'an erasure job failed',
      );
    },
  });
}

/**
 * One step of every open job; answers whether any of them came further. One that fails holds back none of the others:
 * the first failure is thrown once each had its turn.
 */
export async function runErasureRound(
  ports: ErasureJobPorts,
  ledgerWait: LedgerWait,
): Promise<'again' | 'idle'> {
  const open = new Set<string>();
  const progress = askedOnce(ports);
  const failures: unknown[] = [];
  let moved = false;
  let page: readonly ErasureJob[];
  let last: ErasureJob | undefined;
  do {
    page = await openJobs(ports.db, last, jobsPerPageMax);
    for (const job of page) {
      open.add(job.erasureId);
      try {
        moved = (await stepOf(job, ports, progress, ledgerWait)) === 'moved' || moved;
      } catch (error) {
        failures.push(error);
      }
    }
    last = page.at(-1);
  } while (page.length === jobsPerPageMax);
  ledgerWait.keepOnly(open);
  if (failures.length > 0) throw failures[0];
  return moved ? 'again' : 'idle';
}

async function stepOf(
  job: ErasureJob,
  ports: ErasureJobPorts,
  progress: AskProgress,
  ledgerWait: LedgerWait,
): Promise<StepOutcome> {
  switch (job.phase) {
    case 'relay':
      return waitForRelay(job, ports);
    case 'ledger':
      return waitForLedger(job, ports, progress, ledgerWait);
    case 'remove':
      return removePage(job, ports);
    case 'done':
      return 'waiting';
    default:
      throw new RangeError(
        `erasure ${job.erasureId} is in a phase that this version does not know`,
      );
  }
}

/** How far analytics is, by partition; undefined when it cannot be asked. */
type AskProgress = () => Promise<LedgerProgress | undefined>;

interface LedgerProgress {
  readonly partitions: ReadonlyMap<number, PartitionProgress>;
  readonly moreUncounted: boolean;
}

/** One question a round, however many jobs wait for the answer. */
function askedOnce({ analytics, family, logger }: ErasureJobPorts): AskProgress {
  const ask = async () => {
    try {
      const request = { topic: family.topic };
      const options = { timeoutMs: progressTimeoutMs };
      const { progress } = ProjectionServiceService;
      const { partitions, moreUncounted } = await analytics.unary(progress, request, options);
      return { partitions: new Map(partitions.map((one) => [one.partition, one])), moreUncounted };
    } catch (error) {
      // Not reachable is not complete; the jobs ask again, and after an hour they go on and say so.
      logger.warn({ component: 'erasure-jobs', ...failureFields(error) }, 'no progress');
      return undefined;
    }
  };
  let answer: ReturnType<typeof ask> | undefined;
  return () => (answer ??= ask());
}

// 1. The relay publishes what was pending like anything else: unreadable, and counted.
async function waitForRelay(job: ErasureJob, ports: ErasureJobPorts): Promise<StepOutcome> {
  const { streamKind } = ports.family;
  return ports.db.transaction().execute(async (tx) => {
    if (await hasPendingRecords(tx, job, streamKind)) return 'waiting';
    await storeHeads(tx, job, streamKind);
    return (await advance(tx, job, 'ledger')) ? 'moved' : 'waiting';
  });
}

// 2. Analytics folds up to the highest erased sequence; only then may the records go. What it passed over as poison is
// removed uncounted, and the receipt says so: its own was given when it saw the fence, which may be long before.
async function waitForLedger(
  job: ErasureJob,
  ports: ErasureJobPorts,
  progress: AskProgress,
  ledgerWait: LedgerWait,
): Promise<StepOutcome> {
  const heads = await readHeadsOf(ports.db, job);
  const ledger = heads.length === 0 ? nothingUncounted : await progress();
  const isFolded = heads.every(
    ({ partition, sequence }) => (ledger?.partitions.get(partition)?.sequence ?? 0n) >= sequence,
  );
  if (!isFolded && !ledgerWait.isOver(job)) return 'waiting';
  return ports.db.transaction().execute(async (tx) => {
    const isComplete =
      isFolded && ledger !== undefined && (await isEveryEventCounted(tx, job, ports, ledger));
    if (!isComplete) await markLedgerIncomplete(tx, job);
    return (await advance(tx, job, 'remove')) ? 'moved' : 'waiting';
  });
}

const nothingUncounted: LedgerProgress = { partitions: new Map(), moreUncounted: false };

async function isEveryEventCounted(
  tx: Transaction<EventStoreSchema>,
  job: ErasureJob,
  { family }: ErasureJobPorts,
  { partitions, moreUncounted }: LedgerProgress,
): Promise<boolean> {
  if (moreUncounted) return false;
  const uncounted = [...partitions.values()].flatMap(({ partition, uncounted: sequences }) =>
    sequences.map((sequence) => ({ partition, sequence })),
  );
  return !(await isAnyErased(tx, job, family.streamKind, uncounted));
}

// 3. Page by page: rows go, sequences are listed as erased, tombstone records follow, all or nothing.
async function removePage(job: ErasureJob, ports: ErasureJobPorts): Promise<StepOutcome> {
  const { db, family } = ports;
  const outcome = await db.transaction().execute(async (tx) => {
    if (!(await lockJob(tx, job))) return 'waiting';
    const streams = await nextStreams(tx, job, family.streamKind, streamsPerPageMax);
    if (streams.length === 0) return finish(tx, job, ports);
    const records = await nextRecords(tx, job.tenantId, streams, recordsPerPageMax);
    if (records.length > 0) await removeRecords(tx, job, ports, records);
    else {
      const rows = await deleteStreams(tx, job, family.streamKind, streams);
      // The fence has stood since before the job: nothing of these streams is parked or replayed any more.
      const parked = await ports.dropParked?.(tx, job.tenantId, streams);
      await addToJob(tx, job, { rows: rows + (parked ?? 0) });
    }
    return 'removed';
  });
  if (outcome === 'waiting') return 'waiting';
  ports.onEnqueued();
  if (outcome === 'finished') ports.onReceipt();
  return 'moved';
}

async function removeRecords(
  tx: Transaction<EventStoreSchema>,
  job: ErasureJob,
  { family }: ErasureJobPorts,
  records: readonly ErasedRecord[],
): Promise<void> {
  const recordIds = records.map((record) => record.recordId);
  const rows = await detachRecords(tx, job.tenantId, recordIds);
  for (const partition of new Set(records.map((record) => record.partition))) {
    const sequences = records.flatMap((record) =>
      record.partition === partition && record.sequence !== null ? [record.sequence] : [],
    );
    await recordErased(tx, family.topic, partition, sequences);
  }
  const tombstones = records.map(({ partition, recordId }): OutboxRow => {
    return { partition, kind: 'tombstone', eventId: recordId };
  });
  await enqueue(tx, family.topic, tombstones);
  await addToJob(tx, job, { records: records.length, rows });
}

// 4. A tick for every partition that got tombstones, so that an idle one rolls its segment and can be compacted: now, as
// the segment may be old enough, and once the tombstones themselves are that old.
async function finish(
  tx: Transaction<EventStoreSchema>,
  job: ErasureJob,
  { family, clock, logger, oweTicks }: ErasureJobPorts,
): Promise<'finished'> {
  const heads = await readHeadsOf(tx, job);
  const ticks = heads.map(({ partition }): OutboxRow => ({ partition, kind: 'tick' }));
  await enqueue(tx, family.topic, ticks);
  await oweTicks?.(
    tx,
    ticks.map(({ partition }) => partition),
  );
  const boxes = await takePersonBoxes(tx, job);
  const totals = await finishJob(tx, job, boxes);
  const receipt = { service: family.service, ...totals, finishedAt: new Date(clock.nowMs()) };
  await storeReceipt(tx, job.tenantId, { erasureId: job.erasureId, receipt });
  const { records, rows } = totals;
  logger.info({ tenant: job.tenantId, erasure: job.erasureId, records, rows }, 'erasure finished');
  return 'finished';
}
