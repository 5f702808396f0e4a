import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventStore } from '@lethe/platform/event-store/append.ts';
import { raiseFences } from '@lethe/platform/event-store/fences.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import type { CallContext } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { createMemoryKeys, type MemoryKeys } from '@lethe/platform/testing/memory-keys.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Channel, Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { MessageAdded, TicketOpened } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { Kysely } from 'kysely';
import { migrations } from '../migrations/migrations.ts';
import {
  csatGiven,
  message,
  minuteMs,
  newEvent,
  opened,
  openedAtMs,
  samplePerson,
  statusChanged,
} from '../testing/sample-events.ts';
import { ticketFamily } from '../ticket-events.ts';
import { getTicket } from './get-ticket.ts';
import { getTranscript } from './get-transcript.ts';
import { listTickets } from './list-tickets.ts';
import { createTicketEventParser } from './ticket-event-parser.ts';

const acme = 'acme' as TenantId;
const other = 'other' as TenantId;

function callOf(tenantId: TenantId): CallContext {
  const caller = {
    kind: 'tenant',
    tenantId,
    subject: 'test',
    roles: ['writer', 'reader'],
  } as const;
  return { caller, signal: new AbortController().signal };
}

describe('tickets answers', () => {
  let db: Kysely<EventStoreSchema>;
  let keys: MemoryKeys;
  const call = callOf(acme);
  const nowMs = openedAtMs + 1_000 * minuteMs;

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('tickets_rpc');
    await migrateToLatest(db, migrations);
  });

  beforeEach(async () => {
    keys = createMemoryKeys();
    for (const table of ['streams', 'event_index', 'records', 'person_boxes', 'fences'] as const) {
      await db.deleteFrom(table).execute();
    }
  });

  function handlers() {
    const ports = {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    };
    const eventStore = createEventStore(ticketFamily, ports);
    const parser = createTicketEventParser(() => nowMs);
    return {
      ...createAppendHandlers({ eventStore, keys }, parser),
      getTicket: getTicket({ db, keys }),
      listTickets: listTickets({ db, keys }),
      getTranscript: getTranscript({ db, keys }),
    };
  }

  async function appendAll(events: NewTicketEvent[]) {
    const { results } = await handlers().append({ events }, call);
    return results;
  }

  async function fence(person: string): Promise<void> {
    const tokens = await keys.tokens(acme);
    const fenced = keys.fencePerson(acme, tokens.person(person), nowMs);
    await db.transaction().execute((tx) => raiseFences(tx, acme, fenced));
  }

  const ticketNamed = (value: string) => ({ ticket: { $case: 'ticketId', value } as const });

  describe('to appends', () => {
    it('with a position for each accepted event', async () => {
      const results = await appendAll([
        newEvent('T-1', 's0', 0, opened()),
        newEvent('T-1', 's1', 5, message()),
        newEvent('T-1', 's2', 9, csatGiven(5)),
      ]);
      assert.deepEqual(
        results.map(({ outcome, position, reason }) => [outcome, position, reason]),
        [1n, 2n, 4n].map((position) => [AppendOutcome.APPEND_OUTCOME_ACCEPTED, position, '']),
      );
    });

    it('with every problem of a bad event at once, and with the good ones stored', async () => {
      const bad = MessageAdded.fromPartial({
        facts: { isPublic: true, channel: 99 as Channel, dimensions: {} },
        author: { kind: 0, naturalId: ' ', email: `${'x'.repeat(300)}@example.com` },
      });
      const [first, second] = await appendAll([
        newEvent('T-1', 's0', 0, opened()),
        {
          ...newEvent('', 's1', 0, { $case: 'messageAdded', value: bad }),
          id: { $case: 'eventId', value: 'bd1f6b2a-4b3c-4c1e-9d7e-3b1a2c4d5e6f' },
          occurredAt: new Date(nowMs + 2 * 24 * 60 * minuteMs),
          causationId: 'what',
        },
      ]);
      assert.equal(first?.outcome, AppendOutcome.APPEND_OUTCOME_ACCEPTED);
      assert.equal(second?.outcome, AppendOutcome.APPEND_OUTCOME_INVALID);
      assert.equal(second.reason, 'INVALID_FIELDS');
      assert.deepEqual(
        new Set(second.violations.map((violation) => violation.field)),
        new Set([
          'event_id',
          'ticket_id',
          'occurred_at',
          'causation_id',
          'event.message_added.facts.author_kind',
          'event.message_added.facts.channel',
          'event.message_added.facts.dimensions',
          'event.message_added.content',
          'event.message_added.author.kind',
          'event.message_added.author.natural_id',
          'event.message_added.author.email',
        ]),
      );
      assert(!JSON.stringify(second.violations).includes('xxx'));
    });

    it('with refusal of what only the service says', async () => {
      const event = TicketOpened.fromPartial({ facts: { channel: Channel.CHANNEL_WEB } });
      const [milestone, bare, missing] = await appendAll([
        newEvent('T-1', 's0', 0, { $case: 'solved', value: { facts: undefined } }),
        newEvent('T-1', 's1', 0, { $case: 'ticketOpened', value: event }),
        { ...newEvent('T-1', 's2', 0, opened()), event: undefined, id: undefined },
      ]);
      assert.deepEqual(
        milestone?.violations.map((one) => one.field),
        ['event.solved'],
      );
      assert.deepEqual(
        bare?.violations.map((one) => one.field),
        ['event.ticket_opened.content', 'event.ticket_opened.requester'],
      );
      assert.deepEqual(
        missing?.violations.map((one) => one.field),
        ['id', 'event'],
      );
    });

    it('with an error for a message of no events or too many', async () => {
      await assert.rejects(appendAll([]), { reason: 'BATCH_SIZE' });
      const many = Array.from({ length: 1_001 }, () => newEvent('T-1', 's', 0, opened()));
      await assert.rejects(appendAll(many), { reason: 'BATCH_SIZE' });
    });

    it('with an acknowledgement per message of a stream, read one by one', async () => {
      let read = 0;
      async function* requests() {
        for (const events of [
          [newEvent('T-1', 's0', 0, opened())],
          [newEvent('T-1', 's1', 1, message())],
        ]) {
          read += 1;
          yield { events };
        }
      }
      for await (const { results } of handlers().stream(requests(), call)) {
        assert.equal(results.length, 1);
        if (results[0]?.position === 1n) assert.equal(read, 1);
      }
      assert.equal(read, 2);
    });
  });

  describe('to reads', () => {
    it('with the ticket as it stands', async () => {
      await appendAll([
        newEvent('T-1', 's0', 0, opened('u-7', { priority: Priority.PRIORITY_HIGH })),
        newEvent('T-1', 's1', 5, message()),
        newEvent('T-1', 's2', 9, statusChanged(TicketStatus.TICKET_STATUS_SOLVED)),
      ]);
      const { ticket } = await handlers().getTicket(ticketNamed('T-1'), call);
      assert.equal(ticket?.status, TicketStatus.TICKET_STATUS_SOLVED);
      assert.equal(ticket.subject, 'Subject of u-7');
      assert.equal(ticket.requesterName, 'Name of u-7');
      assert.equal(ticket.dimensions?.priority, Priority.PRIORITY_HIGH);
      assert.equal(ticket.openedAt?.getTime(), openedAtMs);
      assert.equal(ticket.firstRepliedAt?.getTime(), openedAtMs + 5 * minuteMs);
      assert.equal(ticket.solvedAt?.getTime(), openedAtMs + 9 * minuteMs);
      assert.equal(ticket.events, 5n);
      const byToken = { $case: 'ticketToken', value: ticket.ticketToken } as const;
      assert.deepEqual(await handlers().getTicket({ ticket: byToken }, call), { ticket });
    });

    it('with a transcript in which an erased agent has no name', async () => {
      await appendAll([
        newEvent('T-1', 's0', 0, opened()),
        newEvent('T-1', 's1', 5, message('a-1', { body: 'Have you tried it twice?' })),
      ]);
      await fence('a-1');
      const { entries } = await handlers().getTranscript(ticketNamed('T-1'), call);
      assert.deepEqual(
        entries.map((entry) => [entry.type, entry.erasedParts]),
        [
          ['TicketOpened', []],
          ['MessageAdded', ['author']],
          ['FirstReplied', []],
        ],
      );
      const reply = entries[1]?.event?.event;
      assert(reply?.$case === 'messageAdded');
      assert.equal(reply.value.content?.body, 'Have you tried it twice?');
      assert.equal(reply.value.author, undefined);
      assert.equal(reply.value.facts?.authorKind, AuthorKind.AUTHOR_KIND_AGENT);
    });

    for (const stands of ['before its fence arrived', 'with its fence'] as const) {
      it(`with TICKET_ERASED for an erased ticket ${stands}`, async () => {
        await appendAll([newEvent('T-1', 's0', 0, opened('u-1'))]);
        if (stands === 'with its fence') await fence('u-1');
        else keys.fencePerson(acme, (await keys.tokens(acme)).person('u-1'), nowMs);
        const { getTicket: ticket, getTranscript: transcript, listTickets: list } = handlers();
        await assert.rejects(ticket(ticketNamed('T-1'), call), { reason: 'TICKET_ERASED' });
        await assert.rejects(transcript(ticketNamed('T-1'), call), { reason: 'TICKET_ERASED' });
        const { tickets } = await list({ pageSize: 10, pageToken: '' }, call);
        assert.deepEqual(tickets, []);
      });
    }

    it('with TICKET_ERASED also when nothing of the ticket is left', async () => {
      await appendAll([newEvent('T-1', 's0', 0, opened('u-1'))]);
      await fence('u-1');
      await db.deleteFrom('records').execute();
      await db.deleteFrom('streams').execute();
      const { getTicket: ticket } = handlers();
      await assert.rejects(ticket(ticketNamed('T-1'), call), { reason: 'TICKET_ERASED' });
    });

    it("with TICKET_UNKNOWN for another tenant's ticket, by id and by token", async () => {
      await appendAll([newEvent('T-1', 's0', 0, opened())]);
      const foreign = callOf(other);
      const value = (await keys.tokens(acme)).ticket('T-1');
      const byToken = { ticket: { $case: 'ticketToken', value } as const };
      const { getTicket: ticket, getTranscript: transcript } = handlers();
      for (const request of [ticketNamed('T-1'), byToken]) {
        await assert.rejects(ticket(request, foreign), { reason: 'TICKET_UNKNOWN' });
        await assert.rejects(transcript(request, foreign), { reason: 'TICKET_UNKNOWN' });
      }
      const { tickets } = await handlers().listTickets({ pageSize: 10, pageToken: '' }, foreign);
      assert.deepEqual(tickets, []);
    });

    it('with what is wrong in a bad request', async () => {
      const { getTicket: ticket, listTickets: list } = handlers();
      const bad = { ticket: { $case: 'ticketToken', value: 'xyz' } as const };
      for (const request of [{ ticket: undefined }, bad, ticketNamed('')]) {
        await assert.rejects(ticket(request, call), { reason: 'INVALID_FIELDS' });
      }
      await assert.rejects(list({ pageSize: 201, pageToken: '' }, call), {
        reason: 'INVALID_FIELDS',
      });
      await assert.rejects(list({ pageSize: 1, pageToken: 'forged' }, call), {
        reason: 'INVALID_FIELDS',
      });
    });

    it('with pages, newest opened first, that new tickets do not shift', async () => {
      const ids = Array.from({ length: 7 }, (_, index) => `T-${index}`);
      // Two were opened in the same minute.
      await appendAll(
        ids.map((id, index) => newEvent(id, id, Math.floor(index / 2), opened(`u-${index}`))),
      );
      const { listTickets: list } = handlers();
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await list({ pageSize: 3, pageToken }, call);
        seen.push(...page.tickets.map((ticket) => ticket.subject));
        if (seen.length === 3) await appendAll([newEvent('T-9', 'T-9', 500, opened('u-9'))]);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      assert.equal(new Set(seen).size, 7);
      assert.equal(seen.length, 7);
      assert.equal(seen[0], 'Subject of u-6');
      const all = await list({ pageSize: 0, pageToken: '' }, call);
      assert.equal(all.tickets[0]?.subject, 'Subject of u-9');
      assert.equal(all.nextPageToken, '');
    });

    it('with nothing of the person in the database', async () => {
      const person = { ...samplePerson('canary-natural-id-0001'), name: 'Canary Of The Mine' };
      const event = TicketOpened.fromPartial({
        facts: { channel: Channel.CHANNEL_WEB },
        content: { subject: 'canary subject line', body: 'canary body text' },
      });
      const value = { ...event, requester: person };
      await appendAll([newEvent('canary-ticket-id-1', 's', 0, { $case: 'ticketOpened', value })]);
      const rows = JSON.stringify(
        await Promise.all(
          (['streams', 'event_index', 'records', 'person_boxes'] as const).map((table) =>
            db.selectFrom(table).selectAll().execute(),
          ),
        ),
        (_name, cell: unknown) => {
          if (typeof cell === 'bigint') return cell.toString();
          const bytes = cell as { readonly type?: unknown; readonly data?: number[] } | null;
          return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('latin1') : cell;
        },
      );
      assert(!/canary/i.test(rows));
      assert(rows.includes('acme'));
    });
  });
});
