import { topics } from '@lethe/proto/topics.ts';
import type { LogSystem, TopicPartition } from '../event-log/port.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { OpenSpan, Telemetry } from '../telemetry/port.ts';
import { parseTraceContext, type TraceContext } from '../telemetry/trace-context.ts';
import type { Lag } from './lag.ts';
import { consumerMetrics } from './metrics.ts';
import type { ConsumerEffect, NewRecord } from './port.ts';

export interface EffectToTrace {
  readonly consumer: NonNullable<Attributes['lethe.consumer']>;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly lag: Lag;
  readonly system: LogSystem | undefined;
}

/** A batch on its way, with the span that ends when it is committed or has failed. */
interface Traced<Prepared> {
  readonly prepared: Prepared;
  readonly from: TopicPartition;
  readonly records: readonly NewRecord[];
  readonly span: OpenSpan;
}

/** The effect with its batches measured, each in a span of the traces that its records carry. */
export function tracedEffect<Schema, Prepared>(
  effect: ConsumerEffect<Schema, Prepared>,
  { consumer, telemetry, clock, lag, system }: EffectToTrace,
): ConsumerEffect<Schema, Traced<Prepared>> {
  const meter = telemetry.meter(consumerMetrics);
  return {
    prepare: async (from, records) => {
      const attributes = {
        ...attributesOf(consumer, from),
        ...processingOf(system),
        ...extentOf(from, records),
      };
      const batchOf = tracesOf(records);
      const span = telemetry.begin({ name: 'consume', kind: 'consumer', attributes, batchOf });
      return await endingIfItFails(span, async () => {
        const prepared = await effect.prepare(from, records);
        return { prepared, from, records, span };
      });
    },
    apply: async (tx, { prepared, span }) =>
      await endingIfItFails(span, async () => await effect.apply(tx, prepared)),
    committed: ({ prepared, from, records, span }) => {
      span.end();
      const destination = attributesOf(consumer, from);
      meter.add('lethe.consumer.records', records.length, destination);
      const [first, last] = [records.at(0), records.at(-1)].map((record) =>
        Number(record?.record.header?.recordedAtMs ?? 0n),
      );
      const delayMs = Math.max(0, clock.nowMs() - (first ?? 0));
      meter.record('lethe.consumer.delay', delayMs / 1_000, destination);
      lag.applied(from, last ?? 0);
      effect.committed?.(prepared);
    },
    // Else its span would never be sent, and what was done to prepare it would lie under a parent that nobody has.
    abandoned: ({ prepared, span }, failure) => {
      span.end(failure);
      effect.abandoned?.(prepared, failure);
    },
  };
}

async function endingIfItFails<Result>(
  span: OpenSpan,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await span.within(work);
  } catch (error) {
    span.end(error);
    throw error;
  }
}

function attributesOf(consumer: EffectToTrace['consumer'], { topic }: TopicPartition) {
  const name = topics.find((each) => each.name === topic)?.name;
  return { 'lethe.consumer': consumer, 'messaging.destination.name': name };
}

/** What OpenTelemetry's conventions want of whoever takes from a log. */
export function processingOf(system: LogSystem | undefined) {
  return {
    'messaging.system': system,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
  } as const;
}

function extentOf({ partition }: TopicPartition, records: readonly NewRecord[]): Attributes {
  return {
    'messaging.destination.partition.id': String(partition),
    'messaging.batch.message_count': records.length,
    'lethe.sequence.first': Number(records.at(0)?.sequence ?? 0n),
    'lethe.sequence.last': Number(records.at(-1)?.sequence ?? 0n),
  };
}

/** The sampled traces that records carry. */
export function tracesOf(records: readonly NewRecord[]): readonly TraceContext[] {
  return records.flatMap(({ record }) => parseTraceContext(record.traceContext) ?? []);
}
