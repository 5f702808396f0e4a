import { type Kysely, sql, type Transaction } from 'kysely';
import { failureFields } from '../errors/failure.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import { enqueue } from './enqueue.ts';

/** Called from a migration of its own of every owner of a compacted topic. */
export async function createLateTickTable<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table late_ticks (
    topic text not null,
    partition int4 not null,
    after_row_id int8 not null,
    published_ms int8,
    primary key (topic, partition))`.execute(db);
}

/**
 * Kafka compacts neither the newest segment nor what tombstones in it are about, and an idle partition begins no new
 * one: the tick right behind tombstone records lands in the same segment and rolls nothing. So each partition that got
 * some is owed one more tick, once they have been on the log for longer than a segment lasts. In the caller's
 * transaction, behind what it enqueued; a debt that stands already begins anew.
 */
export async function oweLateTicks<Schema>(
  tx: Transaction<Schema>,
  topic: string,
  partitions: readonly number[],
): Promise<void> {
  await sql`
    insert into late_ticks (topic, partition, after_row_id)
    select ${topic}, partition, coalesce((select max(row_id) from outbox
      where outbox.topic = ${topic} and outbox.partition = owed.partition), 0)
    from unnest(${[...partitions]}::int4[]) as owed(partition)
    on conflict (topic, partition) do update set after_row_id = excluded.after_row_id,
      published_ms = null`.execute(tx);
}

export interface LateTickPorts<Schema> {
  readonly db: Kysely<Schema>;
  readonly topic: string;
  /** Of the log: by when a segment to which somebody appends is compacted, milliseconds. */
  readonly compactionLagMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Wake the relay. */
  readonly onEnqueued: () => void;
}

/** How far the clocks of two processes that append to a partition may lie apart. */
const clockSkewMs = 2_000;
const pollMaxMs = 60_000;
const pollMinMs = 500;

/** The loop that pays the late ticks. A process that dies leaves them to the next; one tick too many changes nothing. */
export function createLateTicks<Schema>(ports: LateTickPorts<Schema>): Loop {
  const { clock, logger, compactionLagMs } = ports;
  return createLoop({
    name: 'late-ticks',
    clock,
    pollMs: Math.min(pollMaxMs, Math.max(pollMinMs, compactionLagMs / 10)),
    run: async () => {
      await payLateTicks(ports);
      return 'idle';
    },
    onError: (error, delayMs) => {
      logger.warn({ component: 'late-ticks', ...failureFields(error), delayMs }, 'ticks wait');
    },
  });
}

/** Notes whose tombstone records the log has by now, and hands the ticks that are due to the relay. */
export async function payLateTicks<Schema>({
  db,
  topic,
  compactionLagMs,
  clock,
  onEnqueued,
}: LateTickPorts<Schema>): Promise<void> {
  const nowMs = clock.nowMs();
  // Published rows leave the outbox: none is left up to there.
  await sql`
    update late_ticks set published_ms = ${nowMs}::int8
    where topic = ${topic} and published_ms is null and not exists (
      select 1 from outbox where outbox.topic = late_ticks.topic
        and outbox.partition = late_ticks.partition
        and outbox.row_id <= late_ticks.after_row_id)`.execute(db);
  const dueMs = nowMs - compactionLagMs - clockSkewMs;
  const paid = await db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ partition: number }>`
      delete from late_ticks where topic = ${topic} and published_ms <= ${dueMs}::int8
      returning partition`.execute(tx);
    const ticks = rows.map(({ partition }) => ({ partition, kind: 'tick' }) as const);
    await enqueue(tx, topic, ticks);
    return ticks.length;
  });
  if (paid > 0) onEnqueued();
}
