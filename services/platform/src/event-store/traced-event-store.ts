import type { TopicName } from '@lethe/proto/topics.ts';
import { reasonOf } from '../errors/failure.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Telemetry } from '../telemetry/port.ts';
import type { EventStore } from './append.ts';
import type { AppendAnswer } from './family.ts';
import { appendMetrics } from './metrics.ts';

/** The store with its appends measured, each batch in a span: its records name that span. */
export function tracedEventStore<Command>(
  eventStore: EventStore<Command>,
  topic: TopicName,
  { telemetry, clock }: { readonly telemetry: Telemetry; readonly clock: Clock },
): EventStore<Command> {
  if (!telemetry.isOn) return eventStore;
  const meter = telemetry.meter(appendMetrics);
  const destination = { 'messaging.destination.name': topic } as const;
  return {
    append: async (tenantId, items) => {
      const beganMs = clock.monotonicMs();
      const seconds = () => (clock.monotonicMs() - beganMs) / 1_000;
      const attributes = { ...destination, 'messaging.batch.message_count': items.length };
      return await telemetry.inSpan({ name: 'append', kind: 'internal', attributes }, async () => {
        try {
          const answers = await eventStore.append(tenantId, items);
          meter.record('lethe.append.duration', seconds(), destination);
          for (const [outcome, events] of counted(answers)) {
            meter.add('lethe.append.events', events, {
              ...destination,
              'lethe.append.outcome': outcome,
            });
          }
          return answers;
        } catch (error) {
          const failed = { ...destination, 'error.type': reasonOf(error) };
          meter.record('lethe.append.duration', seconds(), failed);
          throw error;
        }
      });
    },
  };
}

function counted(answers: readonly AppendAnswer[]): ReadonlyMap<AppendAnswer['outcome'], number> {
  const counts = new Map<AppendAnswer['outcome'], number>();
  for (const { outcome } of answers) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
}
