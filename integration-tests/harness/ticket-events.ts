import { randomBytes } from 'node:crypto';
import { PersonKind, type Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Channel, Priority, type TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  MessageAdded,
  StatusChanged,
  TicketOpened,
  type TicketEvent,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';

/** Events of made-up tickets, as a caller sends them. */

type Event = NonNullable<TicketEvent['event']>;

/** A UUIDv7 of now. */
export function newEventId(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

/** Nobody real. */
export function madeUpPerson(
  naturalId: string,
  kind: PersonKind = PersonKind.PERSON_KIND_REQUESTER,
): Person {
  return {
    kind,
    naturalId,
    name: `Name of ${naturalId}`,
    email: `${naturalId}@example.com`,
    phone: '',
    avatar: '',
    aliasIds: [],
    displayName: '',
  };
}

export function ticketOpened(requester: string, subject = 'A made-up subject'): Event {
  const value = TicketOpened.fromPartial({
    facts: { channel: Channel.CHANNEL_EMAIL, priority: Priority.PRIORITY_HIGH },
    content: { subject, body: `The body of "${subject}"` },
    requester: madeUpPerson(requester),
  });
  return { $case: 'ticketOpened', value };
}

/** A public reply of an agent. */
export function messageAdded(body: string, agent = 'agent-of-all'): Event {
  const value = MessageAdded.fromPartial({
    facts: { isPublic: true, authorKind: AuthorKind.AUTHOR_KIND_AGENT },
    content: { body },
    author: madeUpPerson(agent, PersonKind.PERSON_KIND_AGENT),
  });
  return { $case: 'messageAdded', value };
}

export function statusChanged(status: TicketStatus): Event {
  return { $case: 'statusChanged', value: StatusChanged.fromPartial({ facts: { status } }) };
}

/** The event with its envelope; happened a minute ago unless said otherwise. */
export function newEvent(
  ticketId: string,
  event: Event,
  more: { readonly eventId?: string; readonly occurredAt?: Date } = {},
): NewTicketEvent {
  const { eventId = newEventId(), occurredAt = new Date(Date.now() - 60_000) } = more;
  return NewTicketEvent.fromPartial({
    id: { $case: 'eventId', value: eventId },
    ticketId,
    occurredAt,
    event: { event },
  });
}
