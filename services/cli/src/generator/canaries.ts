import type { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { GeneratedTenant } from './help-desk.ts';
import { canaryBytesMin, type GeneratedPerson } from './people.ts';

/** A text that must never be found outside of boxes, and what it is. */
export interface Canary {
  readonly tenantId: string;
  readonly kind: 'name' | 'email' | 'phone' | 'national_id' | 'person_id' | 'ticket_id' | 'text';
  /** At least 16 bytes of UTF-8, at most 96: what to search for. */
  readonly value: string;
  /** The ticket or person that it belongs to, by natural id. */
  readonly owner: string;
}

/** Longer texts are searched for by this much of their middle, where no greeting repeats. */
const textBytesMax = 96;

/** Every personal text of a generated tenant, each once: for the byte search in all that the platform wrote. */
export function* listCanaries(tenant: GeneratedTenant): Generator<Canary> {
  const { tenantId } = tenant.profile;
  const seen = new Set<string>();
  const canary = (kind: Canary['kind'], value: string, owner: string): Canary[] => {
    if (Buffer.byteLength(value) < canaryBytesMin || seen.has(value)) return [];
    seen.add(value);
    return [{ tenantId, kind, value, owner }];
  };
  for (const person of [...tenant.agents, ...tenant.requesters]) {
    for (const [kind, value] of textsOfPerson(person)) {
      yield* canary(kind, value, person.profile.naturalId);
    }
  }
  for (const ticket of tenant.tickets) {
    const owner = ticket.cast.ticketId;
    yield* canary('ticket_id', owner, owner);
    for (const event of [...ticket.events, ...ticket.predictions]) {
      for (const text of textsOfContent(event)) yield* canary('text', excerptOf(text), owner);
    }
  }
}

function textsOfPerson(person: GeneratedPerson): readonly (readonly [Canary['kind'], string])[] {
  return [
    ['name', person.name],
    ['email', person.email],
    ['phone', person.phone],
    // As a service may canonicalise it.
    ['phone', person.phone.replaceAll(' ', '')],
    ['national_id', person.nationalId],
    ['person_id', person.profile.naturalId],
  ];
}

/** Every text of the event's content, whatever its type: content is all that may hold text beside Persons. */
function textsOfContent({ event }: NewTicketEvent | NewPredictionEvent): readonly string[] {
  const body = event?.event?.value;
  return body !== undefined && 'content' in body ? textsWithin(body.content) : [];
}

function textsWithin(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return [];
  return Object.values(value).flatMap((inner) => textsWithin(inner));
}

/** At most `textBytesMax` bytes from the middle, cut at characters. */
function excerptOf(text: string): string {
  if (Buffer.byteLength(text) <= textBytesMax) return text;
  const characters = Array.from(text);
  const start = Math.floor(characters.length / 4);
  let excerpt = '';
  for (const character of characters.slice(start)) {
    if (Buffer.byteLength(excerpt + character) > textBytesMax) break;
    excerpt += character;
  }
  return excerpt;
}
