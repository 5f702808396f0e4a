import type { TopicName } from '@lethe/proto/topics.ts';
import type { EventLog, TopicPartition } from '../event-log/port.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import { createOneLook } from '../telemetry/one-look.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { consumerMetrics } from './metrics.ts';
import type { Positions } from './positions.ts';

export interface LagToObserve {
  readonly consumer: NonNullable<Attributes['lethe.consumer']>;
  readonly topics: readonly TopicName[];
  readonly eventLog: EventLog;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly positions: Pick<Positions, 'held'>;
}

/** Notes what was applied, so that a reader that is behind and moves is told from one that stands. */
export interface Lag {
  applied(partition: TopicPartition, newestRecordedAtMs: number): void;
}

/**
 * Tells how late a reader is, in seconds: how long ago a partition was last seen at its end, or, if that is later, when
 * the newest record was recorded that was applied. It errs by one export at most. Of a partition that was behind when this
 * process got it nothing is known until a record of it is applied: until then it counts from the first look.
 */
export function observeLag(lag: LagToObserve): Lag {
  const { telemetry, clock, topics } = lag;
  const since = new Map<string, number>();
  /** Of these `since` is when they were looked at first, for want of better. */
  const unknown = new Set<string>();
  if (!telemetry.isOn) return { applied: () => undefined };
  const meter = telemetry.meter(consumerMetrics);
  const lagsMs = createOneLook(async (): Promise<ReadonlyMap<TopicName, number>> => {
    const worst = new Map<TopicName, number>();
    for (const topic of topics) {
      const ends = await lag.eventLog.endOffsets(topic);
      const nowMs = clock.nowMs();
      worst.set(topic, 0);
      for (const { partition, position, ...of } of lag.positions.held()) {
        if (of.topic !== topic) continue;
        const name = `${topic}/${partition}`;
        const isAtEnd = position >= (ends[partition] ?? 0n);
        if (isAtEnd) unknown.delete(name);
        else if (!since.has(name)) unknown.add(name);
        if (isAtEnd || !since.has(name)) since.set(name, nowMs);
        worst.set(topic, Math.max(worst.get(topic) ?? 0, nowMs - (since.get(name) ?? nowMs)));
      }
    }
    return worst;
  }, clock);
  const attributesOf = (topic: TopicName) => ({
    'lethe.consumer': lag.consumer,
    'messaging.destination.name': topic,
  });
  meter.observe('lethe.consumer.lag', async () =>
    Array.from(await lagsMs(), ([topic, ms]) => ({
      value: ms / 1_000,
      attributes: attributesOf(topic),
    })),
  );
  meter.observe('lethe.log.retention.margin', async () => {
    const margins = [];
    for (const [topic, ms] of await lagsMs()) {
      const retentionMs = (await lag.eventLog.retentionMs?.(topic)) ?? Infinity;
      margins.push({ value: (retentionMs - ms) / 1_000, attributes: attributesOf(topic) });
    }
    return margins;
  });
  return {
    applied: ({ topic, partition }, newestRecordedAtMs) => {
      const name = `${topic}/${partition}`;
      const knownMs = unknown.delete(name) ? 0 : (since.get(name) ?? 0);
      since.set(name, Math.max(knownMs, newestRecordedAtMs));
    },
  };
}
