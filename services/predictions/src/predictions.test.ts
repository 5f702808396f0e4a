import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import {
  createEventStore,
  defaultEventStoreOptions,
  type EventStorePorts,
} from '@lethe/platform/event-store/append.ts';
import { raiseFences } from '@lethe/platform/event-store/fences.ts';
import { createObserver } from '@lethe/platform/event-store/observe.ts';
import { sealRecord } from '@lethe/platform/event-store/seal-record.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import type { CallContext } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { eventBytesOf } from '@lethe/platform/sealing/event.ts';
import { createMemoryKeys, type MemoryKeys } from '@lethe/platform/testing/memory-keys.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PredictionActedOn } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { Priority } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { PriorityChanged, TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { Kysely } from 'kysely';
import { createTicketsEffect } from './consumer.ts';
import { migrations } from './migrations/migrations.ts';
import { predictionFamily } from './prediction-events.ts';
import { listPredictions } from './rpc/list-predictions.ts';
import { createPredictionEventParser } from './rpc/prediction-event-parser.ts';
import { newEvent, openedAtMs, predictionMade } from './testing/sample-events.ts';

const acme = 'acme' as TenantId;

describe('predictions', () => {
  let db: Kysely<EventStoreSchema>;
  let keys: MemoryKeys;
  let ports: EventStorePorts;
  const caller = { kind: 'tenant', tenantId: acme, subject: 'test', roles: ['writer'] } as const;
  const call: CallContext = { caller, signal: new AbortController().signal };

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('predictions');
    await migrateToLatest(db, migrations);
  });

  beforeEach(async () => {
    keys = createMemoryKeys();
    ports = { db, keys, clock: systemClock, randomBytes, partitions: 6, onEnqueued: () => {} };
    for (const table of ['streams', 'event_index', 'records', 'person_boxes', 'fences'] as const) {
      await db.deleteFrom(table).execute();
    }
  });

  /** What the tickets service does when TicketOpened is accepted. */
  async function createTicketKey(ticketId: string, requester = 'u-1') {
    const tokens = await keys.tokens(acme);
    const token = tokens.person(requester);
    const [person] = await keys.leaseForSeal(acme, [{ scope: { kind: 'person', token } }]);
    assert(person?.granted);
    const createFor = { token, incarnation: person.incarnation };
    const scope = { kind: 'ticket', token: tokens.ticket(ticketId) } as const;
    const [lease] = await keys.leaseForSeal(acme, [{ scope, createFor }]);
    assert(lease?.granted);
    return lease;
  }

  function handlers(options = defaultEventStoreOptions) {
    const eventStore = createEventStore(predictionFamily, ports, options);
    const parser = createPredictionEventParser(() => openedAtMs);
    const appending = createAppendHandlers({ eventStore, keys }, parser);
    return { ...appending, list: listPredictions({ db, keys }) };
  }

  const named = (value: string) => ({ ticket: { $case: 'ticketId', value } as const });

  /** The ticket's priority as tickets.v1 says it. */
  async function observe(ticketId: string, priority: Priority): Promise<void> {
    const tokens = await keys.tokens(acme);
    const [facts] = await keys.leaseForSeal(acme, [{ scope: { kind: 'facts' } }]);
    assert(facts?.granted);
    const value = PriorityChanged.fromPartial({ facts: { priority, dimensions: { priority } } });
    const event = TicketEvent.encode({ event: { $case: 'priorityChanged', value } }).finish();
    const record = sealRecord(
      {
        tenantId: acme,
        eventId: tokens.eventIdFromSource(`priority of ${ticketId}`),
        streamToken: tokens.ticket(ticketId),
        position: 2,
        occurredAtMs: openedAtMs,
        recordedAtMs: openedAtMs,
        causationId: undefined,
        event: eventBytesOf('tickets', event),
        partKeys: { facts, stream: facts, persons: new Map() },
        contributors: {},
      },
      randomBytes,
    );
    const observer = createObserver(predictionFamily, ports);
    const effect = createTicketsEffect({ keys, observer });
    const entry = { sequence: 1n, offset: 1n, record: LogRecord.decode(record) };
    const from = { topic: 'tickets.v1', partition: 0 };
    for (let attempt = 0; ; attempt += 1) {
      const prepared = await effect.prepare(from, [entry]);
      try {
        await db.transaction().execute((tx) => effect.apply(tx, prepared));
        return;
      } catch (error) {
        if (attempt === 1) throw error;
      }
    }
  }

  async function priorities(ticketId: string): Promise<readonly unknown[]> {
    const { entries } = await handlers().list(named(ticketId), call);
    return entries.map((entry) => entry.event?.event?.value.facts?.dimensions?.priority);
  }

  it('are stored under the key of their ticket, which only tickets creates', async () => {
    const made = newEvent('T-1', 'p1', 1, predictionMade());
    const early = await handlers().append({ events: [made] }, call);
    assert.equal(early.results[0]?.outcome, AppendOutcome.APPEND_OUTCOME_UNKNOWN_TICKET);
    await createTicketKey('T-1');
    const { results } = await handlers().append({ events: [made] }, call);
    assert.equal(results[0]?.outcome, AppendOutcome.APPEND_OUTCOME_ACCEPTED);
    const { entries } = await handlers().list(named('T-1'), call);
    const event = entries[0]?.event?.event;
    assert(event?.$case === 'predictionMade');
    assert.equal(event.value.content?.explanation, 'many exchanges');
  });

  it('are refused as a whole with every problem of each', async () => {
    await createTicketKey('T-1');
    const acted = PredictionActedOn.fromPartial({ facts: { scorePpm: 1_000_001 } });
    const { results } = await handlers().append(
      {
        events: [
          newEvent('T-1', 'p1', 1, { $case: 'predictionActedOn', value: acted }),
          newEvent('T-1', 'p2', 1, { $case: 'outcomeObserved', value: { facts: undefined } }),
        ],
      },
      call,
    );
    assert.deepEqual(
      results.map((result) => result.violations.map((violation) => violation.field)),
      [
        [
          'event.prediction_acted_on.facts.target',
          'event.prediction_acted_on.facts.model',
          'event.prediction_acted_on.facts.score_ppm',
          'causation_id',
        ],
        ['event.outcome_observed', 'causation_id'],
      ],
    );
  });

  it('carry the dimensions that tickets.v1 told of their ticket', async () => {
    await createTicketKey('T-1');
    const { append } = handlers();
    await append({ events: [newEvent('T-1', 'p1', 1, predictionMade())] }, call);
    await observe('T-1', Priority.PRIORITY_URGENT);
    await append({ events: [newEvent('T-1', 'p2', 2, predictionMade())] }, call);
    assert.deepEqual(await priorities('T-1'), [undefined, Priority.PRIORITY_URGENT]);
  });

  it('carry them also when the ticket was told of before its first prediction', async () => {
    const lease = await createTicketKey('T-1');
    await observe('T-1', Priority.PRIORITY_LOW);
    // A refused first event leaves what is known.
    const small = { ...defaultEventStoreOptions, recordBytesMax: 10 };
    const refused = await handlers(small).append(
      { events: [newEvent('T-1', 'large', 1, predictionMade())] },
      call,
    );
    assert.equal(refused.results[0]?.reason, 'EVENT_TOO_LARGE');
    await handlers().append({ events: [newEvent('T-2', 'other', 1, predictionMade())] }, call);
    // A later generation of the key: the state is read under the older one.
    keys.rotate(acme, lease.scope);
    assert.equal((await db.selectFrom('streams').selectAll().execute()).length, 1);
    await observe('T-1', Priority.PRIORITY_HIGH);
    const { results } = await handlers().append(
      { events: [newEvent('T-1', 'p1', 1, predictionMade())] },
      call,
    );
    assert.equal(results[0]?.position, 1n);
    assert.deepEqual(await priorities('T-1'), [Priority.PRIORITY_HIGH]);
  });

  it('take nothing of an erased ticket from tickets.v1, and answer its readers', async () => {
    await createTicketKey('T-1');
    const tokens = await keys.tokens(acme);
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), openedAtMs);
    await observe('T-1', Priority.PRIORITY_LOW);
    assert.equal((await db.selectFrom('streams').selectAll().execute()).length, 0);
    await assert.rejects(handlers().list(named('T-1'), call), { reason: 'TICKET_ERASED' });
    await db.transaction().execute((tx) => raiseFences(tx, acme, fenced));
    await assert.rejects(handlers().list(named('T-1'), call), { reason: 'TICKET_ERASED' });
    await assert.rejects(handlers().list(named('T-2'), call), { reason: 'TICKET_UNKNOWN' });
  });

  it('are none for a ticket that has none', async () => {
    await createTicketKey('T-1');
    assert.deepEqual((await handlers().list(named('T-1'), call)).entries, []);
  });
});
