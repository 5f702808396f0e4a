import { ServiceError } from '../errors/service-error.ts';
import { type EventId, isUuidText } from '../ids/ids.ts';
import type { TokenMaker } from '../key-client/port.ts';
import type { Problems } from '../grpc/parse-request.ts';

/** What a caller gives as an event's id. */
export type GivenId =
  | { readonly $case: 'eventId'; readonly value: string }
  | { readonly $case: 'sourceId'; readonly value: string };

/** An id as parsed; of a source id the event id is made with the tenant's token key. */
export type ParsedId =
  | { readonly kind: 'event'; readonly eventId: EventId }
  | { readonly kind: 'source'; readonly sourceId: string };

/** What stands beside the event in every append request. */
export interface GivenEnvelope {
  readonly id: GivenId | undefined;
  readonly occurredAt: Date | undefined;
  readonly causationId: string;
}

export interface ParsedEnvelope {
  readonly id: ParsedId;
  readonly occurredAtMs: number;
  readonly causationId: EventId | undefined;
}

/** Ids of other systems: 1 to 256 bytes of UTF-8. */
export const idBytesMax = 256;

/** 2000-01-01T00:00:00Z. */
const occurredMinMs = Date.UTC(2000, 0, 1);
const aheadMaxMs = 24 * 60 * 60 * 1000;
const uuidVersion7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const eventsMax = 1_000;

/** Throws BATCH_SIZE unless the message holds 1 to 1,000 events. */
export function requireBatchSize(events: readonly unknown[]): void {
  if (events.length >= 1 && events.length <= eventsMax) return;
  throw new ServiceError(
    'BATCH_SIZE',
    `a message holds 1 to ${eventsMax} events, not ${events.length}`,
  );
}

/** An id of another system: not empty when trimmed, at most 256 bytes. */
export function checkSourceText(text: string, field: string, problems: Problems): void {
  if (text.trim() === '') problems.add(field, 'is required');
  else if (Buffer.byteLength(text) > idBytesMax) {
    problems.add(field, `must have at most ${idBytesMax} bytes`);
  }
}

/** Parses id, time and cause; undefined when any of them breaks a rule (all of them are then in `problems`). */
export function parseEnvelope(
  given: GivenEnvelope,
  nowMs: number,
  problems: Problems,
): ParsedEnvelope | undefined {
  const id = parseId(given.id, problems);
  const occurredAtMs = parseOccurredAt(given.occurredAt, nowMs, problems);
  const causationId = parseCausation(given.causationId, problems);
  if (id === undefined || occurredAtMs === undefined || causationId === undefined) return undefined;
  return { id, occurredAtMs, causationId: causationId === 'none' ? undefined : causationId };
}

function parseId(given: GivenId | undefined, problems: Problems): ParsedId | undefined {
  if (given === undefined) {
    problems.add('id', 'give either event_id or source_id');
    return undefined;
  }
  if (given.$case === 'sourceId') {
    checkSourceText(given.value, 'source_id', problems);
    return { kind: 'source', sourceId: given.value };
  }
  const text = given.value.toLowerCase();
  if (isUuidText(text) && uuidVersion7.test(text)) return { kind: 'event', eventId: text };
  problems.add('event_id', 'must be a UUID of version 7; give ids of your own system as source_id');
  return undefined;
}

function parseOccurredAt(
  given: Date | undefined,
  nowMs: number,
  problems: Problems,
): number | undefined {
  if (given === undefined) {
    problems.add('occurred_at', 'is required');
    return undefined;
  }
  const occurredAtMs = given.getTime();
  // Not a number: a timestamp beyond what a date can hold.
  if (!(occurredAtMs >= occurredMinMs))
    problems.add('occurred_at', 'must not lie before 2000-01-01');
  else if (occurredAtMs > nowMs + aheadMaxMs) {
    problems.add('occurred_at', 'must not lie more than one day ahead');
  } else return occurredAtMs;
  return undefined;
}

function parseCausation(given: string, problems: Problems): EventId | 'none' | undefined {
  if (given === '') return 'none';
  const text = given.toLowerCase();
  if (isUuidText(text)) return text;
  problems.add('causation_id', 'must be a UUID or empty');
  return undefined;
}

/** The event id as the server knows it. */
export function eventIdOf(id: ParsedId, tokens: TokenMaker): EventId {
  return id.kind === 'event' ? id.eventId : tokens.eventIdFromSource(id.sourceId);
}
