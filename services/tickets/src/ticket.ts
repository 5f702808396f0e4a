import { evolve } from './domain/evolve.ts';
import { milestonesOf } from './domain/milestones.ts';
import { stampCounts, stampDimensions, stampHistory } from './domain/stamp.ts';
import type { AnyTicketEvent, Happening, TicketState } from './domain/state.ts';

/** What the ticket makes of a wished-for event. */
export type TicketDecision =
  | {
      readonly kind: 'decided';
      /** The caller's event, stamped. */
      readonly event: AnyTicketEvent;
      /** What the service adds because of it, in order. */
      readonly milestones: readonly AnyTicketEvent[];
      readonly state: TicketState;
    }
  | { readonly kind: 'unknown_ticket' }
  /** The rule that it breaks; `field` is a path inside the event. */
  | { readonly kind: 'refused'; readonly field: string; readonly rule: string };

/**
 * Pure: the ticket's state and an event that wants to happen give the events that happen. Milestones are decided
 * here and nowhere else, each once: a first reply has no second, and a late event restates nothing.
 */
export function decide(state: TicketState | undefined, wished: Happening): TicketDecision {
  const isOpening = wished.event.$case === 'ticketOpened';
  if (state === undefined && !isOpening) return { kind: 'unknown_ticket' };
  if (state !== undefined && isOpening) {
    return {
      kind: 'refused',
      field: 'event.ticket_opened',
      rule: 'the ticket was opened by another event already; a ticket is opened once',
    };
  }
  const event = state === undefined ? wished.event : stampHistory(state, wished);
  const after = evolve(state, { ...wished, event });
  const milestones = milestonesOf(state, wished, after);
  return {
    kind: 'decided',
    event: stampDimensions(stampCounts(event, after), after.dimensions),
    milestones,
    state: milestones.reduce(
      (current, milestone) =>
        evolve(current, { event: milestone, occurredAtMs: wished.occurredAtMs }),
      after,
    ),
  };
}
