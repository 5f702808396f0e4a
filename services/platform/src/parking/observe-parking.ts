import { type Kysely, sql } from 'kysely';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { parkingMetrics } from './metrics.ts';

/** Tells how many streams of these topics are parked. */
export function observeParking<Schema>(
  telemetry: Telemetry,
  db: Kysely<Schema>,
  topics: readonly TopicName[],
): void {
  if (!telemetry.isOn) return;
  telemetry.meter(parkingMetrics).observe('lethe.parking.streams', async () => {
    const { rows } = await sql<{ topic: string; streams: bigint }>`
      select topic, count(*) as streams from parked_streams group by topic`.execute(db);
    return topics.map((topic) => ({
      value: Number(rows.find((row) => row.topic === topic)?.streams ?? 0n),
      attributes: { 'messaging.destination.name': topic },
    }));
  });
}
