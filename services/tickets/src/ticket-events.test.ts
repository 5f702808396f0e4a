import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DecidedEvent } from '@lethe/platform/event-store/family.ts';
import type { EventId, Token } from '@lethe/platform/ids/ids.ts';
import { Priority, type TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { AnyTicketEvent, TicketState } from './domain/state.ts';
import {
  assigned,
  csatGiven,
  message,
  minuteMs,
  opened,
  openedAtMs,
  priorityChanged,
  statusChanged,
} from './testing/sample-events.ts';
import { ticketFamily } from './ticket-events.ts';

interface Wish {
  readonly event: AnyTicketEvent;
  readonly minute: number;
  /** Of Assigned; an erased assignee has no token. */
  readonly token: Token | undefined;
}

const wishes = fc.array(
  fc.record({
    event: fc.oneof(
      fc.constant(message()),
      fc.constantFrom(1, 2, 3, 4, 5).map((status) => statusChanged(status as TicketStatus)),
      fc.constantFrom(Priority.PRIORITY_LOW, Priority.PRIORITY_URGENT).map(priorityChanged),
      fc.constantFrom('a-1', 'a-2', undefined).map(assigned),
      fc.constant(csatGiven(4)),
    ),
    minute: fc.integer({ min: -5, max: 500 }),
    token: fc.constantFrom('a'.repeat(32) as Token, 'b'.repeat(32) as Token, undefined),
  }),
  { maxLength: 25 },
);

const context = (occurredAtMs: number, personTokens: ReadonlyMap<string, Token>) => ({
  eventId: '01a2008d-7400-7692-8774-591b22d62116' as EventId,
  occurredAtMs,
  causationId: undefined,
  personTokens,
});

describe('a ticket folded from its records', () => {
  it('is the ticket that its decisions left, whatever happened to it and whoever was erased', () => {
    fc.assert(
      fc.property(wishes, (history) => {
        const all: readonly Wish[] = [{ event: opened(), minute: 0, token: undefined }, ...history];
        let live: TicketState | undefined;
        let folded: TicketState | undefined;
        for (const { event, minute, token } of all) {
          const hasAssignee = event.$case === 'assigned' && event.value.assignee !== undefined;
          const tokens = new Map(hasAssignee && token !== undefined ? [['assignee', token]] : []);
          const occurredAtMs = openedAtMs + minute * minuteMs;
          const decision = ticketFamily.decide(live, event, context(occurredAtMs, tokens));
          assert.equal(decision.kind, 'decided');
          if (decision.kind !== 'decided') return;
          live = decision.state;
          const records: readonly DecidedEvent[] = [decision.event, ...decision.derived];
          for (const { shape, eventBytes } of records) {
            const isOwn = shape.type === 'Assigned' && hasAssignee;
            const personTokens = new Map(isOwn ? [['assignee', token]] : []);
            const { eventId } = context(occurredAtMs, tokens);
            const recorded = { eventId, shape, eventBytes, occurredAtMs, personTokens };
            folded = ticketFamily.evolve(folded, recorded);
          }
        }
        assert.deepEqual(folded, live);
      }),
    );
  });
});
