import { tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import type { OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import type { RebuildRules } from '@lethe/platform/rebuild/rules.ts';
import { familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { evolve } from './domain/evolve.ts';
import type { AnyTicketEvent, TicketState } from './domain/state.ts';

/** How a ticket's state follows from its records: the same `evolve` as when they were appended, and no decisions. */
export const ticketRebuildRules: RebuildRules<TicketState> = {
  // The group is content.
  contentTypes: new Set(['GroupChanged']),
  fold: (state, record) => {
    const { event } = TicketEvent.decode(familyBytesOf(record.shape, record.eventBytes));
    if (event === undefined) throw new RangeError(`event ${record.eventId} is of no known type`);
    const assignee = assigneeOf(record);
    return evolve(state, {
      event: withAssignee(event, assignee.isNamed),
      occurredAtMs: record.occurredAtMs,
      assignee: assignee.token,
    });
  },
};

/** The list of parts tells of the assignee without their key, which may be gone by now. */
function assigneeOf({ record }: OpenedRecord) {
  const part = record.parts.find(({ name }) => name === 'assignee');
  const isLiving = part !== undefined && !part.erasedAtAppend;
  return {
    isNamed: part !== undefined,
    token: isLiving ? tokenFromBytes(part.scopeToken) : undefined,
  };
}

// The person was not opened; that there was one is all that the state depends on.
function withAssignee(event: AnyTicketEvent, isNamed: boolean): AnyTicketEvent {
  if (event.$case !== 'assigned' || !isNamed) return event;
  return { ...event, value: { ...event.value, assignee: Person.fromPartial({}) } };
}
