import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { EventId } from '../ids/ids.ts';
import { enqueue } from '../outbox/enqueue.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { createHandClock, type HandClock } from '../testing/hand-clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { createBackPressure, type PendingLimits } from './back-pressure.ts';
import type { EventStoreSchema } from './tables.ts';

const topic = 'tickets.v1';
const wide: PendingLimits = {
  pendingRowsMax: 1_000,
  pendingBytesMax: 1_000_000,
  pendingAgeMaxMs: 60_000,
};
const one = { events: 1, bytes: 1 };

describe('back-pressure of appends', () => {
  let db: Kysely<EventStoreSchema>;
  let clock: HandClock;
  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('back-pressure');
    await createOutboxTables(db);
  });
  beforeEach(async () => {
    clock = createHandClock();
    await sql`truncate outbox`.execute(db);
  });

  const pressure = (limits: Partial<PendingLimits> = {}) =>
    createBackPressure({ db, clock }, topic, { ...wide, ...limits });
  const wait = async (count: number, valueBytes = 10) => {
    const rows = Array.from({ length: count }, (_, index) => ({
      kind: 'record' as const,
      partition: 0,
      eventId: `00000000-0000-7000-8000-${String(index).padStart(12, '0')}` as EventId,
      value: Buffer.alloc(valueBytes),
      recordedAtMs: clock.nowMs(),
    }));
    await db.transaction().execute(async (tx) => await enqueue(tx, topic, rows));
  };
  const relayed = async () => await sql`truncate outbox`.execute(db);
  const refusal = async (entering: Promise<unknown>) => {
    const error = await entering.then(() => undefined).catch((reason: unknown) => reason);
    if (error === undefined) return undefined;
    assert.ok(error instanceof ServiceError && error.reason === 'TOO_MUCH_PENDING');
    assert.equal(error.retryDelayMs, 2_000);
    return error.limit;
  };

  it('refuses by rows, by bytes and by age, and says which', async () => {
    await wait(10, 100);
    assert.equal(await refusal(pressure().enter(one)), undefined);
    assert.equal(await refusal(pressure({ pendingRowsMax: 10 }).enter(one)), 'rows');
    assert.equal(await refusal(pressure({ pendingBytesMax: 1_000 }).enter(one)), 'bytes');
    clock.advance(60_000);
    assert.equal(await refusal(pressure().enter(one)), undefined);
    clock.advance(1);
    assert.equal(await refusal(pressure().enter(one)), 'age');
  });

  it('never lets more in between two looks than there was room for', async () => {
    const gate = pressure({ pendingRowsMax: 100 });
    await wait(40);
    const entering = Array.from(
      { length: 50 },
      async () => await gate.enter({ events: 10, bytes: 1 }),
    );
    const settled = await Promise.allSettled(entering);
    // Committed, in the same second, without a further look.
    for (const result of settled) if (result.status === 'fulfilled') result.value.leave();
    assert.equal(settled.filter(({ status }) => status === 'fulfilled').length, 6);
    assert.equal(await refusal(gate.enter({ events: 10, bytes: 1 })), 'rows');
  });

  it('counts the bytes of what is in flight', async () => {
    const gate = pressure({ pendingBytesMax: 1_000 });
    const first = await gate.enter({ events: 1, bytes: 900 });
    assert.equal(await refusal(gate.enter({ events: 1, bytes: 200 })), 'bytes');
    first.leave();
    clock.advance(1_000);
    assert.equal(await refusal(gate.enter({ events: 1, bytes: 200 })), undefined);
  });

  it('has room again once the relay has moved what waited', async () => {
    const gate = pressure({ pendingRowsMax: 10 });
    await wait(10);
    assert.equal(await refusal(gate.enter(one)), 'rows');
    await relayed();
    assert.equal(await refusal(gate.enter(one)), 'rows', 'it does not look at every refusal');
    clock.advance(250);
    assert.equal(await refusal(gate.enter(one)), undefined);
  });

  it('sees within a second what other processes add', async () => {
    const gate = pressure({ pendingRowsMax: 10 });
    (await gate.enter(one)).leave();
    await wait(10);
    clock.advance(999);
    (await gate.enter(one)).leave();
    clock.advance(1);
    assert.equal(await refusal(gate.enter(one)), 'rows');
  });

  it('gives back the room of an append that failed', async () => {
    const gate = pressure({ pendingRowsMax: 10 });
    (await gate.enter({ events: 10, bytes: 1 })).leave();
    clock.advance(250);
    assert.equal(await refusal(gate.enter({ events: 10, bytes: 1 })), undefined);
  });
});
