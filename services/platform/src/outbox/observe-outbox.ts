import { type Kysely, sql } from 'kysely';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createOneLook } from '../telemetry/one-look.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { pendingStats } from './enqueue.ts';
import { relayMetrics } from './metrics.ts';

export interface OutboxToObserve<Schema> {
  readonly db: Kysely<Schema>;
  readonly topic: TopicName;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Of the log; undefined where nothing is compacted. */
  readonly compactionLagMs: number | undefined;
}

/** More is too much in any case. */
const rowsMax = 50_000;

/** Tells what waits for the log. */
export function observeOutbox<Schema>(outbox: OutboxToObserve<Schema>): void {
  const { db, topic, telemetry, clock, compactionLagMs } = outbox;
  if (!telemetry.isOn) return;
  const meter = telemetry.meter(relayMetrics);
  const attributes = { 'messaging.destination.name': topic } as const;
  const looks = createOneLook(async () => await pendingStats(db, topic, rowsMax), clock);
  meter.observe('lethe.outbox.pending', async () => {
    const { rows } = await looks();
    return [{ value: rows, attributes }];
  });
  meter.observe('lethe.outbox.pending.size', async () => {
    const { bytes } = await looks();
    return [{ value: bytes, attributes }];
  });
  meter.observe('lethe.relay.lag', async () => {
    const { oldestRecordedAtMs } = await looks();
    const ageMs = oldestRecordedAtMs === undefined ? 0 : clock.nowMs() - oldestRecordedAtMs;
    return [{ value: Math.max(0, ageMs) / 1_000, attributes }];
  });
  meter.observe('lethe.log.compaction.overdue', async () => {
    const overdueMs =
      compactionLagMs === undefined ? 0 : await tickOverdueMs(db, topic, clock, compactionLagMs);
    return [{ value: overdueMs / 1_000, attributes }];
  });
}

async function tickOverdueMs<Schema>(
  db: Kysely<Schema>,
  topic: string,
  clock: Clock,
  compactionLagMs: number,
): Promise<number> {
  const { rows } = await sql<{ oldest: bigint | null }>`
    select min(published_ms) as oldest from late_ticks where topic = ${topic}`.execute(db);
  const oldest = rows[0]?.oldest ?? null;
  return oldest === null ? 0 : Math.max(0, clock.nowMs() - Number(oldest) - compactionLagMs);
}
