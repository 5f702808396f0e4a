import type { EventParser } from '@lethe/platform/event-store/append-batch.ts';
import { checkEvent, namePersons, shapeOfCase } from '@lethe/platform/event-store/event-rules.ts';
import type { AppendItem } from '@lethe/platform/event-store/family.ts';
import type { Problems } from '@lethe/platform/grpc/parse-request.ts';
import {
  eventIdOf,
  type ParsedEnvelope,
  parseEnvelope,
} from '@lethe/platform/event-store/parse-event.ts';
import type { TokenMaker } from '@lethe/platform/key-client/port.ts';
import type { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import { type AnyUsageEvent, encodeUsageEvent } from '../usage-events.ts';
import { usageEventRules } from './usage-event-rules.ts';

/** A valid request, natural ids not yet tokens. */
export interface ParsedUsageEvent extends ParsedEnvelope {
  readonly event: AnyUsageEvent;
  /** Natural id of the user, whose stream it is. */
  readonly userId: string;
}

/** Parses what callers append to usage. `nowMs` bounds the times of events. */
export function createUsageEventParser(
  nowMs: () => number,
): EventParser<NewUsageEvent, ParsedUsageEvent, AnyUsageEvent> {
  return {
    parse: (given, problems) => parseUsageEvent(given, nowMs(), problems),
    item: itemOf,
  };
}

function parseUsageEvent(
  given: NewUsageEvent,
  nowMs: number,
  problems: Problems,
): ParsedUsageEvent | undefined {
  const envelope = parseEnvelope(given, nowMs, problems);
  const event = given.event?.event;
  if (event === undefined) problems.add('event', 'is required, with one kind of event set');
  else checkEvent(event, usageEventRules, problems);
  const userId = event?.value.user?.naturalId;
  if (envelope === undefined || event === undefined || userId === undefined) return undefined;
  return { ...envelope, event, userId };
}

function itemOf(parsed: ParsedUsageEvent, tokens: TokenMaker): AppendItem<AnyUsageEvent> {
  const { event } = parsed;
  return {
    eventId: eventIdOf(parsed.id, tokens),
    streamToken: tokens.person(parsed.userId),
    shape: shapeOfCase(event.$case),
    eventBytes: encodeUsageEvent(event).eventBytes,
    occurredAtMs: parsed.occurredAtMs,
    causationId: parsed.causationId,
    persons: namePersons(event, tokens),
    opensStream: true,
    ownerPart: undefined,
    agentPart: undefined,
    command: event,
  };
}
