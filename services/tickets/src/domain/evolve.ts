import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type {
  Assigned,
  CategoryChanged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { type Happening, isPublicHumanReply, type TicketState } from './state.ts';

/**
 * The state after an event. Pure, and for events of one ticket that carry distinct source times independent of the
 * order in which they came, milestones aside: what is older than the value it would set is late and leaves it.
 */
export function evolve(state: TicketState | undefined, happening: Happening): TicketState {
  const { event, occurredAtMs } = happening;
  if (event.$case === 'ticketOpened') return openedState(event.value, occurredAtMs);
  if (state === undefined) throw new RangeError('a ticket begins with TicketOpened');
  const isLate = occurredAtMs < state.latestAtMs;
  return {
    ...changed(state, happening),
    latestAtMs: isLate ? state.latestAtMs : occurredAtMs,
    lateEvents: state.lateEvents + (isLate ? 1 : 0),
  };
}

/** The status that a ticket is opened in; unspecified means new. */
export function openingStatus(opened: TicketOpened): TicketStatus {
  return opened.facts?.status || TicketStatus.TICKET_STATUS_NEW;
}

function openedState(opened: TicketOpened, occurredAtMs: number): TicketState {
  return {
    openedAtMs: occurredAtMs,
    latestAtMs: occurredAtMs,
    dimensions: {
      channel: opened.facts?.channel ?? 0,
      priority: opened.facts?.priority ?? 0,
      category: opened.facts?.category ?? 0,
      ticketType: opened.facts?.ticketType ?? 0,
      language: opened.facts?.language ?? 0,
      productArea: opened.facts?.productArea ?? 0,
      tier: opened.facts?.tier ?? 0,
    },
    priorityAtMs: occurredAtMs,
    categoryAtMs: occurredAtMs,
    status: openingStatus(opened),
    statusAtMs: occurredAtMs,
    newMs: 0,
    openMs: 0,
    pendingMs: 0,
    holdMs: 0,
    replies: 0,
    reopens: 0,
    assigneeStations: 0,
    groupStations: 0,
    csat: 0,
    lateEvents: 0,
  };
}

function changed(state: TicketState, happening: Happening): TicketState {
  const { event, occurredAtMs } = happening;
  switch (event.$case) {
    case 'messageAdded':
      return isPublicHumanReply(event.value.facts)
        ? { ...state, replies: state.replies + 1 }
        : state;
    case 'statusChanged':
      return withStatus(state, event.value.facts?.status ?? 0, occurredAtMs);
    case 'priorityChanged':
      return withPriority(state, happening.occurredAtMs, event.value.facts?.priority ?? 0);
    case 'categoryChanged':
      return withCategory(state, event.value, occurredAtMs);
    case 'assigned':
      return withAssignee(state, event.value, happening.assignee);
    case 'groupChanged':
      return {
        ...state,
        groupStations: state.groupStations + (event.value.content?.group ? 1 : 0),
      };
    case 'csatGiven':
      return { ...state, csat: event.value.facts?.csat ?? 0 };
    case 'firstReplied':
      return { ...state, firstRepliedAtMs: occurredAtMs };
    case 'solved':
      return {
        ...state,
        firstSolvedAtMs: state.firstSolvedAtMs ?? occurredAtMs,
        solvedAtMs: occurredAtMs,
      };
    case 'reopened':
      return { ...state, reopens: state.reopens + 1, solvedAtMs: undefined };
    case 'ticketOpened':
    case 'tagged':
    case 'untagged':
    case 'escalated':
    case 'deEscalated':
    case 'merged':
    case 'slaApplied':
    case 'slaPaused':
    case 'slaResumed':
    case 'slaFulfilled':
    case 'slaBreached':
    case 'csatRequested':
    case 'sentimentScored':
    case 'annotationAdded':
    case 'personCorrected':
    case 'attachmentAdded':
    case 'messagesRedacted':
      return state;
  }
}

function withStatus(state: TicketState, status: TicketStatus, occurredAtMs: number): TicketState {
  if (occurredAtMs < state.statusAtMs) return state;
  const spentMs = occurredAtMs - state.statusAtMs;
  const spent = (counted: TicketStatus): number => (state.status === counted ? spentMs : 0);
  return {
    ...state,
    status,
    statusAtMs: occurredAtMs,
    newMs: state.newMs + spent(TicketStatus.TICKET_STATUS_NEW),
    openMs: state.openMs + spent(TicketStatus.TICKET_STATUS_OPEN),
    pendingMs: state.pendingMs + spent(TicketStatus.TICKET_STATUS_PENDING),
    holdMs: state.holdMs + spent(TicketStatus.TICKET_STATUS_HOLD),
  };
}

function withPriority(
  state: TicketState,
  occurredAtMs: number,
  priority: TicketState['dimensions']['priority'],
): TicketState {
  if (occurredAtMs < state.priorityAtMs) return state;
  return {
    ...state,
    priorityAtMs: occurredAtMs,
    dimensions: { ...state.dimensions, priority },
  };
}

// Unspecified means unchanged, field by field.
function withCategory(
  state: TicketState,
  change: CategoryChanged,
  occurredAtMs: number,
): TicketState {
  if (occurredAtMs < state.categoryAtMs) return state;
  const { category, productArea, ticketType } = state.dimensions;
  return {
    ...state,
    categoryAtMs: occurredAtMs,
    dimensions: {
      ...state.dimensions,
      category: change.facts?.category || category,
      productArea: change.facts?.productArea || productArea,
      ticketType: change.facts?.ticketType || ticketType,
    },
  };
}

// An agent who already has the ticket is no new station.
function withAssignee(state: TicketState, change: Assigned, assignee?: string): TicketState {
  const isNew = change.assignee !== undefined && assignee !== state.assignee;
  return { ...state, assignee, assigneeStations: state.assigneeStations + (isNew ? 1 : 0) };
}
