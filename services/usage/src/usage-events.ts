import type { DecidedEvent, EventFamily } from '@lethe/platform/event-store/family.ts';
import { eventBytesOf } from '@lethe/platform/sealing/event.ts';
import { UsageEvent } from '@lethe/proto/gen/lethe/usage/v1/events.ts';

/** One of the usage events, as the contract's union says it. */
export type AnyUsageEvent = NonNullable<UsageEvent['event']>;

/** An event with its shape, as the event store takes it. */
export function encodeUsageEvent(event: AnyUsageEvent): DecidedEvent {
  return eventBytesOf('usage', UsageEvent.encode({ event }).finish());
}

/** How usage uses the event store: every event stands for itself, so its streams have no state. */
export const usageFamily: EventFamily<AnyUsageEvent, undefined> = {
  service: 'usage',
  topic: 'usage.v1',
  streamKind: 'person',
  keepsRecords: false,
  stateCodec: undefined,
  decide: (_state, event) => ({
    kind: 'decided',
    event: encodeUsageEvent(event),
    derived: [],
    state: undefined,
  }),
  evolve: () => undefined,
};
