import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventStore } from '@lethe/platform/event-store/append.ts';
import { raiseFences } from '@lethe/platform/event-store/fences.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import type { CallContext } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createMemoryKeys, type MemoryKeys } from '@lethe/platform/testing/memory-keys.ts';
import { testPerson } from '@lethe/platform/testing/note-family.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { Feature } from '@lethe/proto/gen/lethe/usage/v1/enums.ts';
import { ApiCalled, FeatureUsed, SeatActive } from '@lethe/proto/gen/lethe/usage/v1/events.ts';
import type { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import type { Kysely } from 'kysely';
import { migrations } from './migrations/migrations.ts';
import { createUsageEventParser } from './rpc/usage-event-parser.ts';
import { type AnyUsageEvent, usageFamily } from './usage-events.ts';

const acme = 'acme' as TenantId;
const atMs = Date.UTC(2026, 2, 2, 9);

const feature = Object.values(Feature).find((value) => value > 0) ?? Feature.UNRECOGNIZED;

function featureUsed(user: string): AnyUsageEvent {
  const value = FeatureUsed.fromPartial({ facts: { feature, quantityMilli: 1_000n } });
  return { $case: 'featureUsed', value: { ...value, user: testPerson(user) } };
}

function newEvent(sourceId: string, occurredAtMs: number, event: AnyUsageEvent): NewUsageEvent {
  const id = { $case: 'sourceId', value: sourceId } as const;
  return { id, occurredAt: new Date(occurredAtMs), causationId: '', event: { event } };
}

describe('usage', () => {
  let db: Kysely<EventStoreSchema>;
  let keys: MemoryKeys;
  const caller = { kind: 'tenant', tenantId: acme, subject: 'test', roles: ['writer'] } as const;
  const call: CallContext = { caller, signal: new AbortController().signal };

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('usage');
    await migrateToLatest(db, migrations);
  });

  beforeEach(async () => {
    keys = createMemoryKeys();
    for (const table of ['streams', 'event_index', 'fences'] as const) {
      await db.deleteFrom(table).execute();
    }
  });

  async function append(events: NewUsageEvent[]) {
    const ports = {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    };
    const eventStore = createEventStore(usageFamily, ports);
    const parser = createUsageEventParser(() => atMs);
    const { results } = await createAppendHandlers({ eventStore, keys }, parser).append(
      { events },
      call,
    );
    return results;
  }

  it('is stored in the stream of its user, whatever id names them', async () => {
    const results = await append([
      newEvent('s1', atMs, featureUsed('u-1')),
      newEvent('s2', atMs, featureUsed('u-2')),
      newEvent('s3', atMs, featureUsed('u-1')),
      newEvent('s3', atMs, featureUsed('u-1')),
    ]);
    assert.deepEqual(
      results.map(({ outcome, position }) => [outcome, position]),
      [
        [AppendOutcome.APPEND_OUTCOME_ACCEPTED, 1n],
        [AppendOutcome.APPEND_OUTCOME_ACCEPTED, 1n],
        [AppendOutcome.APPEND_OUTCOME_ACCEPTED, 2n],
        [AppendOutcome.APPEND_OUTCOME_DUPLICATE, 2n],
      ],
    );
    assert.equal((await db.selectFrom('records').selectAll().execute()).length, 0);
    assert.equal((await db.selectFrom('person_boxes').selectAll().execute()).length, 0);
  });

  it('is refused with every problem at once', async () => {
    const nobody = ApiCalled.fromPartial({ facts: { quantityMilli: -1n } });
    const bare = SeatActive.fromPartial({});
    const results = await append([
      newEvent('', atMs, { $case: 'apiCalled', value: nobody }),
      newEvent('s2', atMs, { $case: 'seatActive', value: bare }),
    ]);
    assert.deepEqual(
      results.map((result) => result.violations.map((violation) => violation.field)),
      [
        [
          'source_id',
          'event.api_called.facts.quantity_milli',
          'event.api_called.facts.feature',
          'event.api_called.user',
        ],
        ['event.seat_active.facts', 'event.seat_active.user'],
      ],
    );
  });

  it('of an erased user is refused if it occurred before, and counts for the next incarnation after', async () => {
    await append([newEvent('s1', atMs, featureUsed('u-1'))]);
    const tokens = await keys.tokens(acme);
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), atMs + 10);
    await db.transaction().execute((tx) => raiseFences(tx, acme, fenced));
    const results = await append([
      newEvent('s1', atMs, featureUsed('u-1')),
      newEvent('s2', atMs + 9, featureUsed('u-1')),
      newEvent('s3', atMs + 10, featureUsed('u-1')),
    ]);
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      [
        AppendOutcome.APPEND_OUTCOME_ERASED,
        AppendOutcome.APPEND_OUTCOME_ERASED,
        AppendOutcome.APPEND_OUTCOME_ACCEPTED,
      ],
    );
  });
});
