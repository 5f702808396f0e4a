import { sql } from 'kysely';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import { analyticsMetrics } from './metrics.ts';
import { partitionName } from './projection/partition-name.ts';
import {
  committedSequences,
  insertedSequences,
  type SequencePorts,
} from './projection/sequences.ts';

export interface LedgerToObserve extends SequencePorts {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly topics: readonly TopicName[];
  readonly completeUpToMs: () => number | undefined;
}

/** Tells up to when the ledger is complete, and what of it waits for ClickHouse. */
export function observeLedger(ledger: LedgerToObserve): void {
  const { telemetry, clock, topics, completeUpToMs, db } = ledger;
  if (!telemetry.isOn) return;
  const meter = telemetry.meter(analyticsMetrics);
  meter.observe('lethe.ledger.freshness', () => {
    const upToMs = completeUpToMs();
    if (upToMs === undefined) return [];
    return [{ value: Math.max(0, clock.nowMs() - upToMs) / 1_000, attributes: {} }];
  });
  meter.observe('lethe.ledger.coverage', async () => {
    const coverages = [];
    for (const topic of topics) {
      // What is inserted is read first: it is never ahead of what is committed then.
      const inserted = await insertedSequences(ledger, [topic]);
      const committed = await committedSequences(ledger, topic);
      const whole = committed.reduce((sum, sequence) => sum + sequence, 0n);
      const there = committed.reduce(
        (sum, _, partition) => sum + (inserted.get(partitionName(topic, partition)) ?? 0n),
        0n,
      );
      const value = whole === 0n ? 1 : Number(there) / Number(whole);
      coverages.push({ value, attributes: { 'messaging.destination.name': topic } });
    }
    return coverages;
  });
  meter.observe('lethe.ledger.coverage.gap.age', async () => {
    const { rows } = await sql<{ oldest: bigint | null }>`
      select min(committed_at_ms) as oldest from chunk_manifests where state = 'pending'`.execute(
      db,
    );
    const oldest = rows[0]?.oldest ?? null;
    const ageMs = oldest === null ? 0 : Math.max(0, clock.nowMs() - Number(oldest));
    return [{ value: ageMs / 1_000, attributes: {} }];
  });
}
