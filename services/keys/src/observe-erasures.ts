import { type Kysely, sql } from 'kysely';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import { keysMetrics } from './metrics.ts';
import type { KeysSchema } from './store/schema.ts';

/** Tells for how long an erasure has been fenced and not unreadable yet. */
export function observeReadableErasures(
  telemetry: Telemetry,
  db: Kysely<KeysSchema>,
  clock: Clock,
): void {
  if (!telemetry.isOn) return;
  telemetry.meter(keysMetrics).observe('lethe.erasure.readable.age', async () => {
    const { rows } = await sql<{ oldest: bigint | null }>`
      select min(fenced_at_ms) as oldest from erasures where unreadable_at_ms is null`.execute(db);
    const oldest = rows[0]?.oldest ?? null;
    const ageMs = oldest === null ? 0 : Math.max(0, clock.nowMs() - Number(oldest));
    return [{ value: ageMs / 1_000, attributes: {} }];
  });
}
