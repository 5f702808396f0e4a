import type { TicketDimensionFacts } from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';
import {
  type AnyTicketEvent,
  type Happening,
  isPublicHumanReply,
  type TicketState,
} from './state.ts';

/** The event with what the service knows better than the caller: what was before, and counts. */
export function stampHistory(before: TicketState, happening: Happening): AnyTicketEvent {
  const { event, occurredAtMs } = happening;
  // What stood before a late change is not known any more: there the caller's word stays.
  if (event.$case === 'statusChanged' && occurredAtMs >= before.statusAtMs) {
    return withFacts(event, { previousStatus: before.status });
  }
  if (event.$case === 'priorityChanged' && occurredAtMs >= before.priorityAtMs) {
    return withFacts(event, { previousPriority: before.dimensions.priority });
  }
  if (event.$case === 'categoryChanged' && occurredAtMs >= before.categoryAtMs) {
    return withFacts(event, { previousCategory: before.dimensions.category });
  }
  if (event.$case === 'messageAdded') {
    const replyIndex = isPublicHumanReply(event.value.facts) ? before.replies + 1 : 0;
    return withFacts(event, { replyIndex });
  }
  if (event.$case === 'csatGiven') return withFacts(event, { previousCsat: before.csat });
  return stampPriority(event, before);
}

// Service levels are judged by the priority at the event's time unless the source says by which.
function stampPriority(event: AnyTicketEvent, before: TicketState): AnyTicketEvent {
  const isJudged =
    event.$case === 'slaApplied' || event.$case === 'slaFulfilled' || event.$case === 'slaBreached';
  return isJudged && event.value.facts?.priority === 0
    ? withFacts(event, { priority: before.dimensions.priority })
    : event;
}

/** The counts that include the event itself, unless the source counts by itself. */
export function stampCounts(event: AnyTicketEvent, after: TicketState): AnyTicketEvent {
  if (event.$case === 'assigned' && event.value.facts?.assigneeStations === 0) {
    return withFacts(event, { assigneeStations: after.assigneeStations });
  }
  if (event.$case === 'groupChanged' && event.value.facts?.groupStations === 0) {
    return withFacts(event, { groupStations: after.groupStations });
  }
  return event;
}

/** The ticket as it stands with this event, so that every event can be counted by it. */
export function stampDimensions(
  event: AnyTicketEvent,
  dimensions: TicketDimensionFacts,
): AnyTicketEvent {
  return withFacts(event, { dimensions });
}

// The compiler cannot follow a union through a spread: each event has `facts`, and `facts` has these fields where
// they are given above.
function withFacts<Event extends AnyTicketEvent>(
  event: Event,
  facts: Partial<NonNullable<Event['value']['facts']>>,
): Event {
  return {
    ...event,
    value: { ...event.value, facts: { ...event.value.facts, ...facts } },
  };
}
