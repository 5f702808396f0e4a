import type { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { DurationFacts } from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';
import {
  type AnyTicketEvent,
  type Happening,
  isDone,
  isPublicHumanReply,
  type TicketState,
} from './state.ts';

/**
 * What the service itself says about a ticket because of an event: the first public human reply, a solving, a
 * reopening. `before` and `after` are the states around the event; no state before means that it opened the ticket.
 * A status change that is late (older than the status it would replace) solves and reopens nothing.
 */
export function milestonesOf(
  before: TicketState | undefined,
  { event, occurredAtMs }: Happening,
  after: TicketState,
): readonly AnyTicketEvent[] {
  if (event.$case === 'ticketOpened') {
    return isDone(after.status) ? [solved(0, occurredAtMs, after)] : [];
  }
  if (event.$case === 'messageAdded') {
    return isPublicHumanReply(event.value.facts) && after.firstRepliedAtMs === undefined
      ? [firstReplied(occurredAtMs, after)]
      : [];
  }
  const changesStatus =
    event.$case === 'statusChanged' && before !== undefined && occurredAtMs >= before.statusAtMs;
  return changesStatus ? statusMilestones(before, occurredAtMs, after) : [];
}

function statusMilestones(
  before: TicketState,
  occurredAtMs: number,
  after: TicketState,
): readonly AnyTicketEvent[] {
  if (isDone(after.status) && !isDone(before.status)) {
    return [solved(before.status, occurredAtMs, after)];
  }
  if (isDone(before.status) && !isDone(after.status)) {
    return [reopened(before, occurredAtMs, after)];
  }
  return [];
}

// By the wall clock alone; business time needs the tenant's schedules.
function calendar(durationMs: number): DurationFacts {
  return { calendarMs: BigInt(Math.max(0, Math.round(durationMs))), businessMs: undefined };
}

function firstReplied(occurredAtMs: number, state: TicketState): AnyTicketEvent {
  return {
    $case: 'firstReplied',
    value: {
      facts: {
        firstReply: calendar(occurredAtMs - state.openedAtMs),
        dimensions: state.dimensions,
      },
    },
  };
}

function solved(
  previousStatus: TicketStatus,
  occurredAtMs: number,
  state: TicketState,
): AnyTicketEvent {
  const firstSolvedAtMs = state.firstSolvedAtMs ?? occurredAtMs;
  return {
    $case: 'solved',
    value: {
      facts: {
        previousStatus,
        firstResolution: calendar(firstSolvedAtMs - state.openedAtMs),
        fullResolution: calendar(occurredAtMs - state.openedAtMs),
        requesterWait: calendar(state.newMs + state.openMs + state.holdMs),
        agentWork: calendar(state.newMs + state.openMs),
        onHold: calendar(state.holdMs),
        replies: state.replies,
        reopens: state.reopens,
        assigneeStations: state.assigneeStations,
        groupStations: state.groupStations,
        dimensions: state.dimensions,
      },
    },
  };
}

function reopened(before: TicketState, occurredAtMs: number, after: TicketState): AnyTicketEvent {
  return {
    $case: 'reopened',
    value: {
      facts: {
        previousStatus: before.status,
        status: after.status,
        reopens: before.reopens + 1,
        solvedFor: calendar(occurredAtMs - (before.solvedAtMs ?? before.statusAtMs)),
        dimensions: after.dimensions,
      },
    },
  };
}
