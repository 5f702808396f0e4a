import { processingOf, tracesOf } from '@lethe/platform/consumer/traced-effect.ts';
import { type Lag, observeLag } from '@lethe/platform/consumer/lag.ts';
import { consumerMetrics } from '@lethe/platform/consumer/metrics.ts';
import { createPositions } from '@lethe/platform/consumer/positions.ts';
import { reasonOf } from '@lethe/platform/errors/failure.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Telemetry } from '@lethe/platform/telemetry/port.ts';
import { topicNamed, type TopicName } from '@lethe/proto/topics.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { analyticsMetrics } from '../metrics.ts';
import type { ChunkWatch } from './projection.ts';
import type { ReadPartition } from './read-chunk.ts';

export interface ProjectionToTrace {
  readonly telemetry: Telemetry;
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly topics: readonly TopicName[];
}

const consumer = 'analytics-projection';

/** Measures the projection's chunks, each in a span of the traces that its records carry. */
export function createChunkWatch(watched: ProjectionToTrace): ChunkWatch | undefined {
  const { telemetry, eventLog, clock, topics } = watched;
  if (!telemetry.isOn) return undefined;
  const meter = telemetry.meter(analyticsMetrics);
  const positions = createPositions();
  const lag = observeLag({ consumer, topics, eventLog, telemetry, clock, positions });
  const countRecords = createCounting(watched, lag);
  return {
    around: async (read, work) => {
      const records = read.flatMap(({ fresh }) => fresh);
      if (records.length === 0) return await work();
      const beganMs = clock.monotonicMs();
      const seconds = () => (clock.monotonicMs() - beganMs) / 1_000;
      const attributes = {
        'lethe.consumer': consumer,
        ...processingOf(eventLog.system),
        'messaging.batch.message_count': records.length,
      } as const;
      const batchOf = tracesOf(records);
      const span = { name: 'project chunk', kind: 'consumer', attributes, batchOf } as const;
      return await telemetry.inSpan(span, async () => {
        try {
          const result = await work();
          meter.record('lethe.projection.chunk.duration', seconds(), {});
          countRecords(read);
          return result;
        } catch (error) {
          const failed = { 'error.type': reasonOf(error) };
          meter.record('lethe.projection.chunk.duration', seconds(), failed);
          throw error;
        }
      });
    },
    applied: (partition, reader) => positions.note(partition, reader.position(partition), reader),
  };
}

function createCounting({ telemetry, clock }: ProjectionToTrace, lag: Lag) {
  const meter = telemetry.meter(consumerMetrics);
  return (read: readonly ReadPartition[]) => {
    for (const { topic: name, partition, fresh } of read) {
      const [first, last] = [fresh.at(0), fresh.at(-1)].map((each) =>
        Number(each?.record.header?.recordedAtMs ?? 0n),
      );
      if (first === undefined || last === undefined || fresh.length === 0) continue;
      const topic = topicNamed(name as TopicName).name as TopicName;
      const attributes = {
        'lethe.consumer': consumer,
        'messaging.destination.name': topic,
      } as const;
      meter.add('lethe.consumer.records', fresh.length, attributes);
      const delayMs = Math.max(0, clock.nowMs() - first);
      meter.record('lethe.consumer.delay', delayMs / 1_000, attributes);
      lag.applied({ topic, partition }, last);
    }
  };
}

/** The ledger with its inserts measured, each in a span. */
export function tracedLedger<Inserting extends Pick<Ledger, 'insert'>>(
  ledger: Inserting,
  { telemetry, clock }: Pick<ProjectionToTrace, 'telemetry' | 'clock'>,
): Pick<Ledger, 'insert'> {
  if (!telemetry.isOn) return ledger;
  const meter = telemetry.meter(analyticsMetrics);
  return {
    insert: async (insert) => {
      const beganMs = clock.monotonicMs();
      const seconds = () => (clock.monotonicMs() - beganMs) / 1_000;
      const attributes = {
        'db.system.name': 'clickhouse',
        'db.operation.name': 'INSERT',
        'lethe.rows': insert.rows,
      } as const;
      const span = { name: 'ledger insert', kind: 'client', attributes } as const;
      await telemetry.inSpan(span, async () => {
        try {
          await ledger.insert(insert);
          meter.record('lethe.ledger.insert.duration', seconds(), {});
        } catch (error) {
          const failed = { 'error.type': reasonOf(error) };
          meter.record('lethe.ledger.insert.duration', seconds(), failed);
          throw error;
        }
      });
    },
  };
}
