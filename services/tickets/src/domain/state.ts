import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type {
  MessageAddedFacts,
  TicketDimensionFacts,
} from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';

/** One of the ticket events, as the contract's union says it. */
export type AnyTicketEvent = NonNullable<TicketEvent['event']>;

/** What a ticket knows of itself; all times are source times, milliseconds since 1970. */
export interface TicketState {
  readonly openedAtMs: number;
  /** Of the event with the latest source time. */
  readonly latestAtMs: number;
  readonly dimensions: TicketDimensionFacts;
  /** When the priority was last set; an older change is late and leaves it. */
  readonly priorityAtMs: number;
  /** The same for category, product area and type. */
  readonly categoryAtMs: number;
  readonly status: TicketStatus;
  readonly statusAtMs: number;
  /** Time spent in each status up to `statusAtMs`. */
  readonly newMs: number;
  readonly openMs: number;
  readonly pendingMs: number;
  readonly holdMs: number;
  /** Public human replies. */
  readonly replies: number;
  readonly firstRepliedAtMs?: number | undefined;
  readonly firstSolvedAtMs?: number | undefined;
  /** Set while the ticket is solved or closed. */
  readonly solvedAtMs?: number | undefined;
  readonly reopens: number;
  readonly assigneeStations: number;
  /** Token of the agent who has it. */
  readonly assignee?: string | undefined;
  readonly groupStations: number;
  /** 0: none was given. */
  readonly csat: number;
  /** Events that occurred before the latest one that was known when they came. */
  readonly lateEvents: number;
}

/** An event with what lies beside it and matters to the ticket. */
export interface Happening {
  readonly event: AnyTicketEvent;
  readonly occurredAtMs: number;
  /** Of Assigned: the new assignee's token. */
  readonly assignee?: string | undefined;
}

/** A reply that the requester can read and that a human agent wrote. */
export function isPublicHumanReply(facts: MessageAddedFacts | undefined): boolean {
  return facts?.isPublic === true && facts.authorKind === AuthorKind.AUTHOR_KIND_AGENT;
}

/** Solved or closed: nobody is to act. */
export function isDone(status: TicketStatus): boolean {
  return (
    status === TicketStatus.TICKET_STATUS_SOLVED || status === TicketStatus.TICKET_STATUS_CLOSED
  );
}
