import { type Kysely, sql } from 'kysely';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createOneLook } from '@lethe/platform/telemetry/one-look.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { ErasureWriterPorts } from './erasure-writer.ts';
import { privacyMetrics } from './metrics.ts';
import type { PrivacySchema } from './schema.ts';

interface OpenErasures {
  readonly open: bigint;
  readonly oldest: bigint | null;
  readonly unfenced: bigint | null;
}

/** Tells how many erasures are open and since when. */
export function observeOpenErasures(
  telemetry: Telemetry,
  db: Kysely<PrivacySchema>,
  clock: Clock,
): void {
  if (!telemetry.isOn) return;
  const meter = telemetry.meter(privacyMetrics);
  const look = createOneLook(async () => {
    const { rows } = await sql<OpenErasures>`
      select count(*) as open, min(requested_at_ms) as oldest,
        min(requested_at_ms) filter (where fenced_at_ms is null) as unfenced
      from erasures where is_open`.execute(db);
    return rows[0];
  }, clock);
  const age = (sinceMs: bigint | null | undefined) => {
    const ms = sinceMs === null || sinceMs === undefined ? 0 : clock.nowMs() - Number(sinceMs);
    return [{ value: Math.max(0, ms) / 1_000, attributes: {} }];
  };
  meter.observe('lethe.erasure.open', async () => {
    const found = await look();
    return [{ value: Number(found?.open ?? 0n), attributes: {} }];
  });
  meter.observe('lethe.erasure.open.age', async () => age((await look())?.oldest));
  meter.observe('lethe.erasure.unfenced.age', async () => age((await look())?.unfenced));
}

/** Tells how long the clocks of an erasure took, as each ends. */
export function measuringErasures(telemetry: Telemetry): ErasureWriterPorts['measured'] {
  const meter = telemetry.meter(privacyMetrics);
  return (command, { requestedAtMs, unreadableAtMs, completion, receipts }) => {
    const seconds = (endMs: number) => Math.max(0, endMs - requestedAtMs) / 1_000;
    if (command === 'recordUnreadable' && unreadableAtMs !== undefined) {
      meter.record('lethe.erasure.unreadable.duration', seconds(unreadableAtMs), {});
    }
    if (command !== 'complete' || completion === undefined) return;
    meter.record('lethe.erasure.purged.duration', seconds(completion.purgedAtMs), {});
    const isIncomplete = receipts.some(({ ledgerComplete }) => !ledgerComplete);
    meter.add('lethe.erasure.ledger.incomplete', isIncomplete ? 1 : 0, {});
  };
}
