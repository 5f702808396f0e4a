import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
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
import { decide, type TicketDecision } from './ticket.ts';

type At = readonly [minute: number, event: AnyTicketEvent, assignee?: string];

const solvedStatus = TicketStatus.TICKET_STATUS_SOLVED;
const openStatus = TicketStatus.TICKET_STATUS_OPEN;

function wish([minute, event, assignee]: At) {
  return { event, occurredAtMs: openedAtMs + minute * minuteMs, assignee };
}

function given(history: readonly At[]): TicketState | undefined {
  return history.reduce<TicketState | undefined>((state, at) => {
    const decision = decide(state, wish(at));
    assert.equal(decision.kind, 'decided');
    return decision.kind === 'decided' ? decision.state : state;
  }, undefined);
}

function decided(history: readonly At[], when: At): TicketDecision & { kind: 'decided' } {
  const decision = decide(given(history), wish(when));
  assert.equal(decision.kind, 'decided');
  if (decision.kind !== 'decided') throw new TypeError('not decided');
  return decision;
}

function milestoneNames(history: readonly At[], when: At): readonly string[] {
  return decided(history, when).milestones.map((milestone) => milestone.$case);
}

describe('a ticket decides', () => {
  it('nothing before it was opened', () => {
    assert.deepEqual(decide(undefined, wish([0, message()])), { kind: 'unknown_ticket' });
  });

  it('to be opened only once', () => {
    const decision = decide(given([[0, opened()]]), wish([1, opened('u-2')]));
    assert.equal(decision.kind, 'refused');
  });

  it('its dimensions into every event, with the priority at the event', () => {
    const history: At[] = [
      [0, opened()],
      [1, priorityChanged(Priority.PRIORITY_URGENT)],
    ];
    const { event } = decided(history, [2, csatGiven(4)]);
    assert.equal(event.value.facts?.dimensions?.priority, Priority.PRIORITY_URGENT);
  });

  it('the status and the priority before a change', () => {
    const status = decided([[0, opened()]], [1, statusChanged(openStatus)]).event;
    const priority = decided([[0, opened()]], [1, priorityChanged(Priority.PRIORITY_LOW)]).event;
    assert(status.$case === 'statusChanged' && priority.$case === 'priorityChanged');
    assert.equal(status.value.facts?.previousStatus, TicketStatus.TICKET_STATUS_NEW);
    assert.equal(priority.value.facts?.previousPriority, Priority.PRIORITY_NORMAL);
  });

  it('which public human reply a message is', () => {
    const history: At[] = [
      [0, opened()],
      [1, message()],
      [2, message('a-1', { isPublic: false })],
    ];
    const { event } = decided(history, [3, message()]);
    assert(event.$case === 'messageAdded');
    assert.equal(event.value.facts?.replyIndex, 2);
  });

  it('stations by agents, not by assignments', () => {
    const history: At[] = [
      [0, opened()],
      [1, assigned('a-1'), 't1'],
      [2, assigned('a-1'), 't1'],
    ];
    const { event } = decided(history, [3, assigned('a-2'), 't2']);
    assert(event.$case === 'assigned');
    assert.equal(event.value.facts?.assigneeStations, 2);
  });
});

describe('a ticket reaches a milestone', () => {
  it('with the first public human reply, once', () => {
    const first = decided([[0, opened()]], [30, message()]);
    const [milestone] = first.milestones;
    assert(milestone?.$case === 'firstReplied');
    assert.equal(milestone.value.facts?.firstReply?.calendarMs, BigInt(30 * minuteMs));
    assert.deepEqual(
      milestoneNames(
        [
          [0, opened()],
          [30, message()],
        ],
        [40, message()],
      ),
      [],
    );
  });

  it('with no reply of a bot, a note or the requester', () => {
    for (const reply of [
      message('bot', { kind: AuthorKind.AUTHOR_KIND_BOT }),
      message('a-1', { isPublic: false }),
      message('u-1', { kind: AuthorKind.AUTHOR_KIND_REQUESTER }),
    ]) {
      assert.deepEqual(milestoneNames([[0, opened()]], [5, reply]), []);
    }
  });

  it('by being solved, with the time in each status', () => {
    const history: At[] = [
      [0, opened()],
      [10, statusChanged(openStatus)],
      [30, statusChanged(TicketStatus.TICKET_STATUS_PENDING)],
      [60, statusChanged(TicketStatus.TICKET_STATUS_HOLD)],
    ];
    const [milestone] = decided(history, [100, statusChanged(solvedStatus)]).milestones;
    assert(milestone?.$case === 'solved');
    const { facts } = milestone.value;
    const minutes = (duration: { calendarMs: bigint } | undefined): number =>
      Number(duration?.calendarMs) / minuteMs;
    assert.equal(minutes(facts?.fullResolution), 100);
    assert.equal(minutes(facts?.requesterWait), 10 + 20 + 40);
    assert.equal(minutes(facts?.agentWork), 30);
    assert.equal(minutes(facts?.onHold), 40);
    assert.equal(facts?.previousStatus, TicketStatus.TICKET_STATUS_HOLD);
  });

  it('by being opened as solved', () => {
    assert.deepEqual(milestoneNames([], [0, opened('u-1', { status: solvedStatus })]), ['solved']);
  });

  it('by being closed unsolved, but not by being closed after solving', () => {
    const closed = statusChanged(TicketStatus.TICKET_STATUS_CLOSED);
    assert.deepEqual(milestoneNames([[0, opened()]], [1, closed]), ['solved']);
    assert.deepEqual(
      milestoneNames(
        [
          [0, opened()],
          [1, statusChanged(solvedStatus)],
        ],
        [2, closed],
      ),
      [],
    );
  });

  it('by being reopened, and again by being solved again', () => {
    const history: At[] = [
      [0, opened()],
      [10, statusChanged(solvedStatus)],
    ];
    const [reopened] = decided(history, [25, statusChanged(openStatus)]).milestones;
    assert(reopened?.$case === 'reopened');
    assert.equal(reopened.value.facts?.solvedFor?.calendarMs, BigInt(15 * minuteMs));
    assert.equal(reopened.value.facts.reopens, 1);
    const again: At[] = [...history, [25, statusChanged(openStatus)]];
    const [solved] = decided(again, [40, statusChanged(solvedStatus)]).milestones;
    assert(solved?.$case === 'solved');
    assert.equal(solved.value.facts?.firstResolution?.calendarMs, BigInt(10 * minuteMs));
    assert.equal(solved.value.facts.fullResolution?.calendarMs, BigInt(40 * minuteMs));
  });

  it('never because of a late status', () => {
    const history: At[] = [
      [0, opened()],
      [20, statusChanged(openStatus)],
    ];
    const late = decided(history, [10, statusChanged(solvedStatus)]);
    assert.deepEqual(late.milestones, []);
    assert.equal(late.state.status, openStatus);
    assert.equal(late.state.lateEvents, 1);
  });

  it('of the first reply even when other events came before it in time of arrival', () => {
    const history: At[] = [
      [0, opened()],
      [50, csatGiven(3)],
    ];
    assert.deepEqual(milestoneNames(history, [40, message()]), ['firstReplied']);
  });
});

describe('a ticket, whatever the order of arrival', () => {
  it('stands where its latest events put it', () => {
    const event = fc.oneof(
      fc.constantFrom(1, 2, 3, 4, 5, 6).map((status) => statusChanged(status as TicketStatus)),
      fc.constantFrom(1, 2, 3, 4).map((priority) => priorityChanged(priority as Priority)),
      fc.constant(message()),
    );
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 12 }).chain((events) => {
          const at = events.map((one, index): At => [index + 1, one]);
          return fc.tuple(fc.constant(at), fc.shuffledSubarray(at, { minLength: at.length }));
        }),
        ([inOrder, shuffled]) => {
          const straight = given([[0, opened()], ...inOrder]);
          const arrived = given([[0, opened()], ...shuffled]);
          for (const field of ['status', 'statusAtMs', 'replies', 'latestAtMs'] as const) {
            assert.equal(arrived?.[field], straight?.[field]);
          }
          assert.deepEqual(arrived?.dimensions, straight?.dimensions);
        },
      ),
    );
  });
});
