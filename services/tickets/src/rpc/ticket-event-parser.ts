import type { EventParser } from '@lethe/platform/event-store/append-batch.ts';
import { checkEvent, namePersons, shapeOfCase } from '@lethe/platform/event-store/event-rules.ts';
import type { AppendItem } from '@lethe/platform/event-store/family.ts';
import type { Problems } from '@lethe/platform/grpc/parse-request.ts';
import {
  checkSourceText,
  eventIdOf,
  type ParsedEnvelope,
  parseEnvelope,
} from '@lethe/platform/event-store/parse-event.ts';
import type { TokenMaker } from '@lethe/platform/key-client/port.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { encodeTicketEvent } from '../ticket-events.ts';
import type { AnyTicketEvent } from '../domain/state.ts';
import { ticketEventRules } from './ticket-event-rules.ts';

/** A valid request, natural ids not yet tokens. */
export interface ParsedTicketEvent extends ParsedEnvelope {
  readonly ticketId: string;
  readonly event: AnyTicketEvent;
}

/** Parses what callers append to tickets. `nowMs` bounds the times of events. */
export function createTicketEventParser(
  nowMs: () => number,
): EventParser<NewTicketEvent, ParsedTicketEvent, AnyTicketEvent> {
  return {
    parse: (given, problems) => parseTicketEvent(given, nowMs(), problems),
    item: itemOf,
  };
}

function parseTicketEvent(
  given: NewTicketEvent,
  nowMs: number,
  problems: Problems,
): ParsedTicketEvent | undefined {
  const envelope = parseEnvelope(given, nowMs, problems);
  checkSourceText(given.ticketId, 'ticket_id', problems);
  const event = given.event?.event;
  if (event === undefined) problems.add('event', 'is required, with one kind of event set');
  else checkEvent(event, ticketEventRules, problems);
  if (envelope === undefined || event === undefined) return undefined;
  return { ...envelope, ticketId: given.ticketId, event };
}

function itemOf(parsed: ParsedTicketEvent, tokens: TokenMaker): AppendItem<AnyTicketEvent> {
  const { event } = parsed;
  const isOpening = event.$case === 'ticketOpened';
  return {
    eventId: eventIdOf(parsed.id, tokens),
    streamToken: tokens.ticket(parsed.ticketId),
    shape: shapeOfCase(event.$case),
    eventBytes: encodeTicketEvent(event).eventBytes,
    occurredAtMs: parsed.occurredAtMs,
    causationId: parsed.causationId,
    persons: namePersons(event, tokens),
    opensStream: isOpening,
    ownerPart: isOpening ? 'requester' : undefined,
    agentPart: agentPartOf(event),
    command: event,
  };
}

// `agent` is the acting human agent everywhere; of a message it is the author, if an agent wrote it.
function agentPartOf(event: AnyTicketEvent): string | undefined {
  if (event.$case !== 'messageAdded') return 'agent' in event.value ? 'agent' : undefined;
  return event.value.facts?.authorKind === AuthorKind.AUTHOR_KIND_AGENT ? 'author' : undefined;
}
