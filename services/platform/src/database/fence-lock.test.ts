import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import type { TenantId } from '../ids/ids.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { advisoryLockNumber, lockFencesExclusively, lockFencesShared } from './fence-lock.ts';

const tenants = ['acme', 'zeta', 'acme'] as TenantId[];

interface HeldLock {
  number: bigint;
  mode: string;
}

async function heldLocks(tx: Kysely<unknown>): Promise<HeldLock[]> {
  const { rows } = await sql<HeldLock>`
    select ((classid::int8 << 32) | objid::int8) as number, mode from pg_locks
    where locktype = 'advisory' and granted order by number`.execute(tx);
  return rows;
}

describe('the fence lock', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  before(async () => {
    db = await openTestDatabase('fence-lock');
  });

  const numbers = (...names: string[]): bigint[] =>
    names
      .map((tenantId) => advisoryLockNumber('fence', 'tickets', tenantId))
      .toSorted((a, b) => (a < b ? -1 : 1));

  it('is held shared for each tenant once, until the transaction ends', async () => {
    const held = await db.transaction().execute(async (tx) => {
      await lockFencesShared(tx, 'tickets', tenants);
      return heldLocks(tx);
    });
    assert.deepEqual(
      held,
      numbers('acme', 'zeta').map((number) => ({ number, mode: 'ShareLock' })),
    );
    assert.deepEqual(await heldLocks(db), []);
  });

  it('is held exclusively by the transaction that fences, for each of its tenants', async () => {
    const held = await db.transaction().execute(async (tx) => {
      await lockFencesExclusively(tx, 'tickets', tenants);
      return heldLocks(tx);
    });
    assert.deepEqual(
      held,
      numbers('acme', 'zeta').map((number) => ({ number, mode: 'ExclusiveLock' })),
    );
  });

  it('is another lock for another service or tenant', () => {
    const all = ['tickets', 'usage'].flatMap((service) =>
      ['acme', 'zeta'].map((tenantId) => advisoryLockNumber('fence', service, tenantId)),
    );
    assert.equal(new Set(all).size, 4);
  });
});
