import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EventId, Token } from '@lethe/platform/ids/ids.ts';
import type { OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import { splitEvent } from '@lethe/platform/sealing/event.ts';
import { joinFields } from '@lethe/platform/sealing/wire.ts';
import { Record as LogRecord, ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { Priority } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { GroupChanged } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { AnyTicketEvent, TicketState } from './domain/state.ts';
import { ticketRebuildRules } from './rebuild.ts';
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
import { encodeTicketEvent, ticketStateCodec } from './ticket-events.ts';
import { decide } from './ticket.ts';

function groupChanged(group: string): AnyTicketEvent {
  return {
    $case: 'groupChanged',
    value: GroupChanged.fromPartial({ facts: {}, content: { group } }),
  };
}

interface Step {
  readonly event: AnyTicketEvent;
  readonly minute: number;
  readonly assignee: Token | undefined;
}

const tokens = ['a1'.repeat(16), 'b2'.repeat(16)] as Token[];

const step: fc.Arbitrary<Step> = fc
  .record({
    event: fc.oneof(
      fc.constant(message()),
      fc.integer({ min: 1, max: 6 }).map((status) => statusChanged(status as never)),
      fc.constant(priorityChanged(Priority.PRIORITY_URGENT)),
      fc.constant(assigned('a-1')),
      fc.constantFrom('first line', '').map(groupChanged),
      fc.constant(csatGiven(4)),
    ),
    // Late events among them.
    minute: fc.integer({ min: 0, max: 500 }),
    token: fc.option(fc.constantFrom(...tokens), { nil: undefined }),
  })
  .map(({ event, minute, token }) => ({
    event,
    minute,
    assignee: event.$case === 'assigned' ? token : undefined,
  }));

/** A record as a rebuild opens it: facts, content where it is asked for, persons by the list of parts alone. */
function openedRecord(event: AnyTicketEvent, { minute, assignee }: Step): OpenedRecord {
  const { shape, eventBytes } = encodeTicketEvent(event);
  const parts = splitEvent(shape, eventBytes);
  const withContent = ticketRebuildRules.contentTypes.has(shape.type);
  const wanted = parts.filter(
    ({ kind }) => kind === 'facts' || (kind === 'content' && withContent),
  );
  const listed = parts.map(({ name, kind }) => ({
    name,
    scopeKind: kind === 'person' ? ScopeKind.SCOPE_KIND_PERSON : ScopeKind.SCOPE_KIND_FACTS,
    scopeToken: Buffer.from(assignee ?? tokens[0] ?? '', 'hex'),
    erasedAtAppend: name === 'assignee' && assignee === undefined,
  }));
  return {
    eventId: '' as EventId,
    position: 0n,
    occurredAtMs: openedAtMs + minute * minuteMs,
    shape,
    eventBytes: joinFields(wanted),
    erasedParts: [],
    record: LogRecord.fromPartial({ parts: listed }),
  };
}

describe('the state of a ticket', () => {
  it('follows from its records, milestones and late events included', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let live: TicketState | undefined;
        let folded: TicketState | undefined;
        const first = { event: opened(), minute: 10, assignee: undefined };
        for (const at of [first, ...steps]) {
          const occurredAtMs = openedAtMs + at.minute * minuteMs;
          const { event, assignee } = at;
          const decision = decide(live, { event, occurredAtMs, assignee });
          if (decision.kind !== 'decided') continue;
          live = decision.state;
          for (const one of [decision.event, ...decision.milestones]) {
            folded = ticketRebuildRules.fold(folded, openedRecord(one, at));
          }
        }
        assert.ok(live !== undefined && folded !== undefined);
        const stored = (state: TicketState) =>
          ticketStateCodec.decode(ticketStateCodec.encode(state));
        assert.deepEqual(stored(folded), stored(live));
      }),
      { numRuns: 300 },
    );
  });
});
