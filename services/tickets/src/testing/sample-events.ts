import { type Person, PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Channel, Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  Assigned,
  CsatGiven,
  MessageAdded,
  PriorityChanged,
  StatusChanged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { AnyTicketEvent } from '../domain/state.ts';

/** 2026-03-02T09:00:00Z, a Monday. */
export const openedAtMs = Date.UTC(2026, 2, 2, 9);
export const minuteMs = 60_000;

/** A generated person; nobody real. */
export function samplePerson(naturalId: string, kind: 'requester' | 'agent' = 'requester'): Person {
  return {
    kind: kind === 'agent' ? PersonKind.PERSON_KIND_AGENT : PersonKind.PERSON_KIND_REQUESTER,
    naturalId,
    name: `Name of ${naturalId}`,
    email: `${naturalId}@example.com`,
    phone: '',
    avatar: '',
    aliasIds: [],
    displayName: '',
  };
}

/** TicketOpened by e-mail with normal priority. */
export function opened(
  requester = 'u-1',
  facts: { readonly status?: TicketStatus; readonly priority?: Priority } = {},
): AnyTicketEvent {
  const value = TicketOpened.fromPartial({
    facts: {
      channel: Channel.CHANNEL_EMAIL,
      priority: facts.priority ?? Priority.PRIORITY_NORMAL,
      status: facts.status ?? TicketStatus.TICKET_STATUS_UNSPECIFIED,
    },
    content: { subject: `Subject of ${requester}`, body: `Body of ${requester}` },
  });
  return { $case: 'ticketOpened', value: { ...value, requester: samplePerson(requester) } };
}

/** A public reply by an agent unless said otherwise. */
export function message(
  author = 'a-1',
  options: { readonly isPublic?: boolean; readonly kind?: AuthorKind; readonly body?: string } = {},
): AnyTicketEvent {
  const authorKind = options.kind ?? AuthorKind.AUTHOR_KIND_AGENT;
  const value = MessageAdded.fromPartial({
    facts: { isPublic: options.isPublic ?? true, authorKind },
    content: { body: options.body ?? `Message of ${author}` },
  });
  const kind = authorKind === AuthorKind.AUTHOR_KIND_AGENT ? 'agent' : 'requester';
  return { $case: 'messageAdded', value: { ...value, author: samplePerson(author, kind) } };
}

export function statusChanged(status: TicketStatus, agent?: string): AnyTicketEvent {
  const value = StatusChanged.fromPartial({
    facts: { status, authorKind: AuthorKind.AUTHOR_KIND_AGENT },
  });
  return { $case: 'statusChanged', value: { ...value, agent: agentOf(agent) } };
}

export function priorityChanged(priority: Priority): AnyTicketEvent {
  return { $case: 'priorityChanged', value: PriorityChanged.fromPartial({ facts: { priority } }) };
}

export function assigned(assignee: string | undefined): AnyTicketEvent {
  const value = Assigned.fromPartial({ facts: {} });
  return { $case: 'assigned', value: { ...value, assignee: agentOf(assignee) } };
}

export function csatGiven(csat: number): AnyTicketEvent {
  return { $case: 'csatGiven', value: CsatGiven.fromPartial({ facts: { csat } }) };
}

function agentOf(naturalId: string | undefined): Person | undefined {
  return naturalId === undefined ? undefined : samplePerson(naturalId, 'agent');
}

/** A request for an event of ticket `ticketId`, `minutes` after `openedAtMs`. */
export function newEvent(
  ticketId: string,
  sourceId: string,
  minutes: number,
  event: AnyTicketEvent,
): NewTicketEvent {
  return {
    id: { $case: 'sourceId', value: sourceId },
    ticketId,
    occurredAt: new Date(openedAtMs + minutes * minuteMs),
    causationId: '',
    event: { event },
  };
}
