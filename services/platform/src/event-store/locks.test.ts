import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { ErasureId, TenantId } from '../ids/ids.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { createMemoryKeys } from '../testing/memory-keys.ts';
import { noteFamily, openItem } from '../testing/note-family.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { defaultEventStoreOptions } from './append.ts';
import { appendInTransaction } from './append-transaction.ts';
import { createErasureEffect } from './erasure-effect.ts';
import { leaseBatch } from './leasing.ts';
import { createObserver } from './observe.ts';
import { createEventStoreTables, type EventStoreSchema } from './tables.ts';

const acme = 'acme' as TenantId;

/**
 * PGlite runs one transaction after the other, so no race goes wrong here without the fence lock; these hold that it
 * is taken, and how.
 */
describe('the fence lock of an event owner', () => {
  let db: Kysely<EventStoreSchema>;

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('event_store_locks');
    await createEventStoreTables(db);
    await createOutboxTables(db);
  });

  async function modesIn(
    work: (tx: Transaction<EventStoreSchema>) => Promise<unknown>,
  ): Promise<readonly string[]> {
    return db.transaction().execute(async (tx) => {
      await work(tx);
      const { rows } = await sql<{ mode: string }>`
        select distinct mode from pg_locks where locktype = 'advisory'`.execute(tx);
      return rows.map((row) => row.mode);
    });
  }

  it('is held shared by an append', async () => {
    const keys = createMemoryKeys();
    const tokens = await keys.tokens(acme);
    const ticket = { ticket: 'T-1', source: 'T-1/0', occurredAtMs: Date.UTC(2026, 1, 1) };
    const items = [openItem(tokens, 'u-1', ticket)];
    const toLease = { family: noteFamily, tenantId: acme, items, fenceSkewMs: 0 };
    const batch = {
      ...toLease,
      tokens,
      leases: await leaseBatch(keys, toLease),
      stateLeases: new Map(),
      limits: defaultEventStoreOptions,
    };
    const ports = { partitions: 6, nowMs: () => Date.now(), randomBytes };
    assert.deepEqual(await modesIn((tx) => appendInTransaction(tx, batch, ports)), ['ShareLock']);
  });

  it('is held shared for every tenant that a consumer observes', async () => {
    const keys = createMemoryKeys();
    const ports = {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    };
    const observer = createObserver(noteFamily, ports);
    const leased = [await observer.lease(acme, [])];
    assert.deepEqual(await modesIn((tx) => observer.apply(tx, leased)), ['ShareLock']);
  });

  it('is held exclusively where fences are raised', async () => {
    const effect = createErasureEffect({ service: 'tickets', clock: systemClock, onJob: () => {} });
    const erasureId = '0198c1de-5f00-7abc-8def-00000000e002' as ErasureId;
    const erasure = { tenantId: acme, erasureId, fences: [] };
    assert.deepEqual(await modesIn((tx) => effect.apply(tx, [erasure])), ['ExclusiveLock']);
  });

  it('is held for every tenant of a batch before the first fence is raised', async () => {
    const erasureId = '0198c1de-5f00-7abc-8def-00000000e003' as ErasureId;
    const tenantIds = ['zeta', 'acme', 'bolt'] as TenantId[];
    const erasures = tenantIds.map((tenantId) => ({ tenantId, erasureId, fences: [] }));
    const died = new Error('the clock is read once the locks are held, for the first job');
    const clock = {
      ...systemClock,
      nowMs: () => {
        throw died;
      },
    };
    const effect = createErasureEffect({ service: 'tickets', clock, onJob: () => {} });
    const held = await db.transaction().execute(async (tx) => {
      await assert.rejects(effect.apply(tx, erasures), died);
      const { rows } = await sql`select 1 from pg_locks where locktype = 'advisory'`.execute(tx);
      return rows.length;
    });
    assert.equal(held, 3);
  });
});
