import type {
  DecidedEvent,
  EventFamily,
  RecordedEvent,
  StateCodec,
} from '@lethe/platform/event-store/family.ts';
import { eventBytesOf, familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { evolve } from './domain/evolve.ts';
import type { AnyTicketEvent, TicketState } from './domain/state.ts';
import { decide } from './ticket.ts';

/** An event with its shape, as the event store takes it. */
export function encodeTicketEvent(event: AnyTicketEvent): DecidedEvent {
  return eventBytesOf('tickets', TicketEvent.encode({ event }).finish());
}

/** JSON with a version; the box around it is bound to ticket and position. */
export const ticketStateCodec: StateCodec<TicketState> = {
  name: 'ticket-state',
  encode: (state) => Buffer.from(JSON.stringify({ version: 1, state })),
  decode: (bytes) => {
    const stored = JSON.parse(Buffer.from(bytes).toString()) as StoredState;
    if (stored.version !== 1) throw new RangeError(`ticket state of version ${stored.version}`);
    return stored.state;
  },
};

interface StoredState {
  readonly version: number;
  readonly state: TicketState;
}

/** How tickets use the event store. */
export const ticketFamily: EventFamily<AnyTicketEvent, TicketState> = {
  service: 'tickets',
  topic: 'tickets.v1',
  streamKind: 'ticket',
  keepsRecords: true,
  stateCodec: ticketStateCodec,
  decide: (state, event, { occurredAtMs, personTokens }) => {
    const assignee = personTokens.get('assignee');
    const decision = decide(state, { event, occurredAtMs, assignee });
    if (decision.kind === 'unknown_ticket') return decision;
    if (decision.kind === 'refused') {
      const violation = { field: decision.field, description: decision.rule };
      return { kind: 'refused', violations: [violation] };
    }
    return {
      kind: 'decided',
      event: encodeTicketEvent(decision.event),
      derived: decision.milestones.map((milestone) => ({
        ...encodeTicketEvent(milestone),
        name: milestone.$case,
      })),
      state: decision.state,
    };
  },
  evolve: (state, recorded) => {
    const { occurredAtMs, personTokens } = recorded;
    const assignee = personTokens.get('assignee');
    return evolve(state, { event: recordedEventOf(recorded), occurredAtMs, assignee });
  },
};

function recordedEventOf({ shape, eventBytes, personTokens }: RecordedEvent): AnyTicketEvent {
  const { event } = TicketEvent.decode(familyBytesOf(shape, eventBytes));
  if (event === undefined) throw new RangeError(`${shape.type} is no event of a ticket`);
  // Who got the ticket may be erased since; that somebody got it is not.
  if (event.$case !== 'assigned' || !personTokens.has('assignee')) return event;
  const assignee = event.value.assignee ?? Person.create();
  return { ...event, value: { ...event.value, assignee } };
}
