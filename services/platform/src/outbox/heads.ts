import { type Kysely, sql } from 'kysely';
import { SharedConnectionAdapter } from '../database/pglite.ts';
import type { Clock } from '../lifecycle/clock.ts';

/** How far a topic has been numbered. */
export interface TopicHeads {
  readonly heads: readonly { readonly partition: number; readonly sequence: bigint }[];
  /** Every event recorded before this moment has a sequence at or below the heads. Milliseconds since 1970. */
  readonly asOfMs: number;
}

/**
 * How far the clocks of the processes that append may lie apart, and apart from the database's. With one connection
 * there is one process and no transaction in flight while we ask.
 */
const clockSkewMs = 2_000;

/**
 * The heads of a topic and up to when they are complete. Three kinds of events could be recorded earlier than now and
 * lie above the heads:
 * 1. committed and not numbered: they are in the outbox, and the oldest of them bounds `asOfMs`;
 * 2. in a transaction that has not committed: invisible, but recorded after that transaction began (the rule of
 *    `enqueue`), so the age of the oldest open transaction of this user bounds it;
 * 3. in a transaction that begins after we looked at those: recorded after `nowMs`.
 * So first the clock, then the open transactions, then counters and outbox in one statement (one snapshot). It errs
 * towards too early: rows of the batch in flight are numbered already and count as waiting.
 */
export async function readHeads<Schema>(
  db: Kysely<Schema>,
  topic: string,
  clock: Clock,
): Promise<TopicHeads> {
  const nowMs = clock.nowMs();
  const openForMs = await ageOfOpenTransactionsMs(db);
  const { rows } = await sql<{
    partition: number | null;
    sequence: bigint | null;
    oldest: bigint | null;
  }>`
    select counters.partition, counters.last_sequence as sequence, waiting.oldest
    from (select min(recorded_at_ms) as oldest from outbox where topic = ${topic}) as waiting
    left join partition_counters as counters on counters.topic = ${topic}
    order by counters.partition`.execute(db);
  const oldest = rows[0]?.oldest ?? null;
  const heads = rows.flatMap(({ partition, sequence }) =>
    partition === null || sequence === null ? [] : [{ partition, sequence }],
  );
  const untilOpen = nowMs - openForMs;
  return { heads, asOfMs: oldest === null ? untilOpen : Math.min(untilOpen, Number(oldest)) };
}

async function ageOfOpenTransactionsMs<Schema>(db: Kysely<Schema>): Promise<number> {
  if (db.getExecutor().adapter instanceof SharedConnectionAdapter) return 0;
  // A transaction without xact_start has not begun. Others' are hidden from us, and only our own user appends here.
  const { rows } = await sql<{ age: number | null }>`
    select (extract(epoch from clock_timestamp() - min(xact_start)) * 1000)::float8 as age
    from pg_stat_activity
    where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`.execute(
    db,
  );
  return Math.ceil(rows[0]?.age ?? 0) + clockSkewMs;
}
