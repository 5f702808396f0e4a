import { type Person, PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import {
  MessageAdded,
  StatusChanged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { FeatureUsed } from '@lethe/proto/gen/lethe/usage/v1/events.ts';
import type { AppendItem, EventFamily } from '../event-store/family.ts';
import { namePerson } from '../event-store/parse-person.ts';
import type { TokenMaker } from '../key-client/port.ts';
import { shapeOf } from './sealing-sample.ts';

/** A wish of the tests' family: opens a stream or adds a note to it; every third note brings a milestone. */
export interface Note {
  readonly kind: 'open' | 'note' | 'forbidden';
}

/** Everything the family's decisions depend on. */
export interface NoteState {
  readonly notes: number;
}

const milestone = {
  shape: shapeOf('StatusChanged'),
  eventBytes: StatusChanged.encode(StatusChanged.fromPartial({ facts: { status: 5 } })).finish(),
  name: 'third-note',
};

/** A family for tests of the event store: its rules are as small as can be, its events are real ones. */
export const noteFamily: EventFamily<Note & { readonly eventBytes: Uint8Array }, NoteState> = {
  service: 'tickets',
  topic: 'tickets.v1',
  streamKind: 'ticket',
  keepsRecords: true,
  stateCodec: {
    name: 'note-state',
    encode: (state) => Buffer.from(JSON.stringify(state)),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as NoteState,
  },
  decide: (state, { kind, eventBytes }) => {
    if (state === undefined && kind !== 'open') return { kind: 'unknown_ticket' };
    if (kind === 'forbidden') {
      return { kind: 'refused', violations: [{ field: 'event', description: 'is forbidden' }] };
    }
    const notes = (state?.notes ?? 0) + (kind === 'note' ? 1 : 0);
    const shape = shapeOf(kind === 'open' ? 'TicketOpened' : 'MessageAdded');
    const derived = kind === 'note' && notes % 3 === 0 ? [milestone] : [];
    return { kind: 'decided', event: { shape, eventBytes }, derived, state: { notes } };
  },
  evolve: (state, { shape }) => ({
    notes: (state?.notes ?? 0) + (shape.type === 'MessageAdded' ? 1 : 0),
  }),
};

/** Streams are persons, without state or content. */
export const visitFamily: EventFamily<{ readonly eventBytes: Uint8Array }, undefined> = {
  service: 'usage',
  topic: 'usage.v1',
  streamKind: 'person',
  keepsRecords: false,
  stateCodec: undefined,
  decide: (_state, { eventBytes }) => ({
    kind: 'decided',
    event: { shape: shapeOf('FeatureUsed'), eventBytes },
    derived: [],
    state: undefined,
  }),
  evolve: () => undefined,
};

export type NoteItem = AppendItem<Note & { readonly eventBytes: Uint8Array }>;

/** A generated person; nobody real. */
export function testPerson(naturalId: string): Person {
  return {
    kind: PersonKind.PERSON_KIND_REQUESTER,
    naturalId,
    name: `Name of ${naturalId}`,
    email: `${naturalId}@example.com`,
    phone: '',
    avatar: '',
    aliasIds: [],
    displayName: '',
  };
}

interface NoteOptions {
  readonly source: string;
  readonly ticket: string;
  readonly occurredAtMs: number;
  readonly body?: string;
}

/** Opens a stream that `requester` owns. */
export function openItem(tokens: TokenMaker, requester: string, options: NoteOptions): NoteItem {
  const person = testPerson(requester);
  const event = TicketOpened.fromPartial({
    facts: { channel: 1 },
    content: { subject: options.ticket, body: options.body ?? 'opened' },
  });
  const eventBytes = TicketOpened.encode({ ...event, requester: person }).finish();
  return {
    eventId: tokens.eventIdFromSource(options.source),
    streamToken: tokens.ticket(options.ticket),
    shape: shapeOf('TicketOpened'),
    eventBytes,
    occurredAtMs: options.occurredAtMs,
    causationId: undefined,
    persons: [namePerson('requester', person, tokens)],
    opensStream: true,
    ownerPart: 'requester',
    agentPart: undefined,
    command: { kind: 'open', eventBytes },
  };
}

/** A note by `author` in a stream. */
export function noteItem(
  tokens: TokenMaker,
  author: string,
  options: NoteOptions & { readonly kind?: Note['kind'] },
): NoteItem {
  const person = testPerson(author);
  const event = MessageAdded.fromPartial({
    facts: { isPublic: true, authorKind: AuthorKind.AUTHOR_KIND_AGENT },
    content: { body: options.body ?? 'a note' },
  });
  const eventBytes = MessageAdded.encode({ ...event, author: person }).finish();
  return {
    eventId: tokens.eventIdFromSource(options.source),
    streamToken: tokens.ticket(options.ticket),
    shape: shapeOf('MessageAdded'),
    eventBytes,
    occurredAtMs: options.occurredAtMs,
    causationId: undefined,
    persons: [namePerson('author', person, tokens)],
    opensStream: false,
    ownerPart: undefined,
    agentPart: 'author',
    command: { kind: options.kind ?? 'note', eventBytes },
  };
}

/** A visit by `user`, whose stream it is. */
export function visitItem(
  tokens: TokenMaker,
  user: string,
  options: { readonly source: string; readonly occurredAtMs: number },
): AppendItem<{ readonly eventBytes: Uint8Array }> {
  const person = testPerson(user);
  const event = FeatureUsed.fromPartial({ facts: { feature: 1 } });
  const eventBytes = FeatureUsed.encode({ ...event, user: person }).finish();
  return {
    eventId: tokens.eventIdFromSource(options.source),
    streamToken: tokens.person(user),
    shape: shapeOf('FeatureUsed'),
    eventBytes,
    occurredAtMs: options.occurredAtMs,
    causationId: undefined,
    persons: [namePerson('user', person, tokens)],
    opensStream: true,
    ownerPart: undefined,
    agentPart: undefined,
    command: { eventBytes },
  };
}
