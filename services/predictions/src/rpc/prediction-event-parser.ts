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
import type { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { AnyPredictionEvent, PredictionCommand } from '../prediction.ts';
import { encodePredictionEvent } from '../prediction-events.ts';
import { predictionEventRules } from './prediction-event-rules.ts';

/** A valid request, natural ids not yet tokens. */
export interface ParsedPredictionEvent extends ParsedEnvelope {
  readonly ticketId: string;
  readonly event: AnyPredictionEvent;
}

/** Parses what callers append to predictions. `nowMs` bounds the times of events. */
export function createPredictionEventParser(
  nowMs: () => number,
): EventParser<NewPredictionEvent, ParsedPredictionEvent, PredictionCommand> {
  return {
    parse: (given, problems) => parsePredictionEvent(given, nowMs(), problems),
    item: itemOf,
  };
}

function parsePredictionEvent(
  given: NewPredictionEvent,
  nowMs: number,
  problems: Problems,
): ParsedPredictionEvent | undefined {
  const envelope = parseEnvelope(given, nowMs, problems);
  checkSourceText(given.ticketId, 'ticket_id', problems);
  const event = given.event?.event;
  if (event === undefined) problems.add('event', 'is required, with one kind of event set');
  else {
    checkEvent(event, predictionEventRules, problems);
    if (event.$case !== 'predictionMade' && given.causationId === '') {
      problems.add('causation_id', 'must name the prediction that the event is about');
    }
  }
  if (envelope === undefined || event === undefined) return undefined;
  return { ...envelope, ticketId: given.ticketId, event };
}

function itemOf(parsed: ParsedPredictionEvent, tokens: TokenMaker): AppendItem<PredictionCommand> {
  const { event } = parsed;
  return {
    eventId: eventIdOf(parsed.id, tokens),
    streamToken: tokens.ticket(parsed.ticketId),
    shape: shapeOfCase(event.$case),
    eventBytes: encodePredictionEvent(event).eventBytes,
    occurredAtMs: parsed.occurredAtMs,
    causationId: parsed.causationId,
    persons: namePersons(event, tokens),
    // Whether the ticket exists is for its key to say: only TicketOpened creates that.
    opensStream: true,
    ownerPart: undefined,
    agentPart: 'agent' in event.value ? 'agent' : undefined,
    command: event,
  };
}
