import { CsatGiven, Escalated } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { AnyTicketEvent } from '@lethe/tickets/domain/state.ts';
import { message, opened, statusChanged } from '@lethe/tickets/testing/sample-events.ts';
import { startWallMs } from '../core/process.ts';

/** An event that a client wants to append; the same words make the same event. */
export interface WishedEvent {
  /** Names the event in its client's own system: sent twice, it is a duplicate, or a conflict if its content differs. */
  readonly source: string;
  readonly ticket: string;
  readonly kind: 'opened' | 'reply' | 'answer' | 'solved' | 'reopened' | 'csat' | 'escalated';
  readonly person: string;
  /** Minutes after the run's start. */
  readonly minute: number;
}

/** What a client does next, once the one before is answered. */
export type Command =
  | { readonly kind: 'append'; readonly tenant: string; readonly events: readonly WishedEvent[] }
  | { readonly kind: 'erase'; readonly tenant: string; readonly person: string }
  | { readonly kind: 'wait'; readonly forMs: number };

/** The request for it. */
export function requestOf(wished: WishedEvent): NewTicketEvent {
  return {
    id: { $case: 'sourceId', value: wished.source },
    ticketId: wished.ticket,
    occurredAt: new Date(occurredAtMsOf(wished)),
    causationId: '',
    event: { event: ticketEventOf(wished) },
  };
}

export function occurredAtMsOf({ minute }: WishedEvent): number {
  return startWallMs + minute * 60_000;
}

export function ticketEventOf({ kind, person }: WishedEvent): AnyTicketEvent {
  switch (kind) {
    case 'opened':
      return opened(person);
    case 'reply':
      return message('agent', { kind: AuthorKind.AUTHOR_KIND_AGENT, body: `To ${person}` });
    case 'answer':
      return message(person, { kind: AuthorKind.AUTHOR_KIND_REQUESTER });
    case 'solved':
      return statusChanged(TicketStatus.TICKET_STATUS_SOLVED, 'agent');
    case 'reopened':
      return statusChanged(TicketStatus.TICKET_STATUS_OPEN, 'agent');
    case 'csat':
      return { $case: 'csatGiven', value: CsatGiven.fromPartial({ facts: { csat: 4 } }) };
    case 'escalated':
      return { $case: 'escalated', value: Escalated.fromPartial({ facts: {} }) };
  }
}
