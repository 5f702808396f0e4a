import { type Kysely, sql, type Transaction } from 'kysely';
import { withLockSession } from '../database/lock-session.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LoggedRecord } from '../event-store/apply-parts.ts';
import type { EventLog } from '../event-log/port.ts';
import { eventIdBytes } from '../ids/ids.ts';
import { recordErased } from '../outbox/erased-ranges.ts';
import { dropPublished, readCounters, readErasedRuns, settleCounter } from '../outbox/repair.ts';
import { differenceOf, type PartitionDifference, sequencesIn } from './differences.ts';
import { readLog, type TopicOnLog } from './read-log.ts';
import type { RepairFinding, RepairWish } from './port.ts';

/** The one topic of a service, its log on a server and its tables. */
export interface TopicRepair<Schema> {
  readonly db: Kysely<Schema>;
  readonly eventLog: EventLog;
  readonly topic: string;
  /** A consumer group that the service may read its own topic in. */
  readonly group: string;
  /** Makes the tables that are missing. */
  readonly migrate: () => Promise<void>;
  /**
   * Brings records that the tables lack into them, or finds them there; answers those that cannot be read any more.
   * Safe to repeat.
   */
  readonly apply: (page: readonly LoggedRecord[]) => Promise<readonly LoggedRecord[]>;
  /** Whether records are ever erased: then one that the log lacks was. */
  readonly isCompacted: boolean;
  /** In the transaction that settles the counter of a partition. */
  readonly settled?: (tx: Transaction<Schema>, partition: number) => Promise<void>;
}

/**
 * Compares the topic with the tables of its owner, of which no process may run, and mends a table that is older than
 * the log. If the process dies in it the next run finds the partition as it was or mended: its counter, which every
 * comparison goes by, is settled last. Throws SERVICE_RUNS.
 */
export async function repairTopic<Schema>(
  repair: TopicRepair<Schema>,
  wish: RepairWish,
): Promise<readonly RepairFinding[]> {
  const { db, topic, eventLog } = repair;
  return await withLockSession(db, async (session) => {
    for (let partition = 0; partition < eventLog.partitionsOf(topic); partition += 1) {
      // The relay's own lock: a process that runs has it.
      if (!(await session.tryLock(`relay ${topic}/${partition}`))) {
        throw new ServiceError('SERVICE_RUNS', `${topic}/${partition} has a relay that runs`);
      }
    }
    const log = await readLog(eventLog, { ...repair, signal: wish.signal });
    const differences = await compare(repair, log);
    if (differences.length === 0) return [];
    const what = `${topic}: ${wordsOf(differences)}`;
    if (differences.some(({ behind }) => behind > 0n)) {
      return [{ state: 'lost', what, action: lostAction }];
    }
    if (!repair.isCompacted && differences.some(({ unlisted }) => unlisted.length > 0)) {
      return [{ state: 'lost', what, action: lostAction }];
    }
    if (!wish.mends) return [{ state: 'mendable', what, action: mendAction }];
    const { action, unreadable } = await mend(repair, log, differences);
    const left = `${topic}: ${unreadable} records cannot be opened`;
    return [
      ...(action === '' ? [] : [{ state: 'mended', what, action } as const]),
      ...(unreadable === 0 ? [] : [{ state: 'lost', what: left, action: keysLost } as const]),
    ];
  });
}

const lostAction =
  'the log lost records: restore it, or treat it as an incident. Nothing here can put them back';
const mendAction = 'bring the tables forward from the log';
const keysLost =
  'their data keys were made after the copy from which the database of keys was restored, and are in no other place. Restore that database to its newest state, start keys and run this again; their partitions stay stopped until then';

async function compare<Schema>(
  { db, topic }: TopicRepair<Schema>,
  { partitions }: TopicOnLog,
): Promise<readonly PartitionDifference[]> {
  const counters = await readCounters(db, topic);
  const erased = counters.length === 0 ? new Map<number, never>() : await readErasedRuns(db, topic);
  return partitions.flatMap((onLog) => {
    const counter = counters.find(({ partition }) => partition === onLog.partition);
    return differenceOf(onLog, counter, erased.get(onLog.partition) ?? []) ?? [];
  });
}

function wordsOf(differences: readonly PartitionDifference[]): string {
  const total = (of: (difference: PartitionDifference) => bigint) =>
    differences.reduce((sum, each) => sum + of(each), 0n);
  const ahead = total((each) => each.ahead);
  const unlisted = total((each) =>
    each.unlisted.reduce((sum, { first, last }) => sum + last - first + 1n, 0n),
  );
  const behind = total((each) => each.behind);
  return [
    ahead === 0n ? [] : `${ahead} sequences on the log that the database never gave`,
    unlisted === 0n ? [] : `${unlisted} sequences without a record that the database does not list`,
    behind === 0n ? [] : `${behind} published sequences that the log does not have`,
  ]
    .flat()
    .join('; ');
}

/** What came of one partition. */
interface Brought {
  applied: number;
  unreadable: number;
  /** Of a batch that was on its way, those that arrived. */
  readonly arrived: LoggedRecord[];
}

/**
 * A record that cannot be opened leaves its partition as it was: taking it off the log, so that it could be sent again,
 * would not take it out of Kafka's files at once, and consumers that read it there would count it twice.
 */
async function mend<Schema>(
  repair: TopicRepair<Schema>,
  log: TopicOnLog,
  differences: readonly PartitionDifference[],
): Promise<{ readonly action: string; readonly unreadable: number }> {
  await repair.migrate();
  const brought = await bringForward(repair, log, differences);
  let [applied, unreadable, listed] = [0, 0, 0];
  for (const difference of differences) {
    const done = brought.get(difference.partition);
    applied += done?.applied ?? 0;
    unreadable += done?.unreadable ?? 0;
    if ((done?.unreadable ?? 0) === 0) {
      listed += await settlePartition(repair, difference, done?.arrived ?? []);
    }
  }
  const action = [
    applied === 0 ? [] : `${applied} records of the log brought into the tables`,
    listed === 0 ? [] : `${listed} erased sequences listed`,
  ]
    .flat()
    .join('; ');
  return { action, unreadable };
}

async function bringForward<Schema>(
  { apply }: TopicRepair<Schema>,
  { pagesAbove }: TopicOnLog,
  differences: readonly PartitionDifference[],
): Promise<ReadonlyMap<number, Brought>> {
  const ahead = differences.filter((difference) => difference.ahead > 0n);
  const counters = new Map(ahead.map(({ partition, counter }) => [partition, counter]));
  const brought = new Map(
    ahead.map(({ partition }): [number, Brought] => [
      partition,
      { applied: 0, unreadable: 0, arrived: [] },
    ]),
  );
  // From what was surely published on: a batch that was on its way may have arrived.
  const published = new Map(
    ahead.map(({ partition, counter }) => [partition, counter.lastPublished]),
  );
  for await (const page of ahead.length === 0 ? [] : pagesAbove(published)) {
    const partition = page[0]?.partition ?? -1;
    const [done, counter] = [brought.get(partition), counters.get(partition)];
    if (done === undefined || counter === undefined) continue;
    done.arrived.push(...page.filter(({ sequence }) => sequence <= counter.lastSequence));
    const above = page.filter(({ sequence }) => sequence > counter.lastSequence);
    const failed = above.length === 0 ? [] : await apply(above);
    done.unreadable += failed.length;
    done.applied += above.length - failed.length;
  }
  return brought;
}

/** Everything that the tables must know of the log, at once; answers how many sequences were listed as erased. */
async function settlePartition<Schema>(
  { db, topic, settled }: TopicRepair<Schema>,
  { partition, ahead, unlisted, lastOnLog }: PartitionDifference,
  arrived: readonly LoggedRecord[],
): Promise<number> {
  const gone = sequencesIn(unlisted);
  await db.transaction().execute(async (tx) => {
    await recordErased(tx, topic, partition, gone);
    if (ahead === 0n) return;
    const recordKeys = arrived.map(({ recordId }) => eventIdBytes(recordId));
    await dropPublished(tx, topic, recordKeys);
    await settleCounter(tx, { topic, partition }, lastOnLog);
    await settled?.(tx, partition);
  });
  return gone.length;
}

/** An event whose row still waits has no number, whatever a batch that never arrived gave it. */
export async function waitAgain<Schema>(tx: Transaction<Schema>, partition: number): Promise<void> {
  await sql`update event_index set sequence = null
    from outbox where outbox.partition = ${partition} and outbox.kind = 1
      and event_index.record_id = encode(outbox.event_id, 'hex')::uuid`.execute(tx);
}
