import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { kibPerKeyMax, messagesPerKeyMax } from '../domain/generations.ts';
import { migrations } from '../migrations/migrations.ts';
import { someToken } from '../testing/keys-under-test.ts';
import { scopeBytes } from './columns.ts';
import { addClaims, insertDataKeys, readNewest } from './data-keys.ts';
import type { KeysSchema } from './schema.ts';

/** What decides between transactions that saw the same row and want the same room: the statements themselves. */
describe('data keys in the store', () => {
  const tenantNumber = 1;
  let db: Kysely<KeysSchema>;

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<KeysSchema>('keys-store');
    await migrateToLatest(db, migrations);
  });

  const newRow = () => ({
    scope: scopeBytes({ kind: 'person', token: someToken() }),
    incarnation: 1,
    generation: 1,
    messages: 1,
    kib: 1,
    createdAtMs: 90_000,
    keyIdStart: -5,
    wrapped: randomBytes(60),
    owner: undefined,
  });
  const claimedOf = async (scope: Buffer) => {
    const found = (await readNewest(db, tenantNumber, [scope])).get(scope.toString('hex'));
    return { messages: found?.claimedMessages, kib: found?.claimedKib };
  };

  it('adds a claim up to the caps and not beyond, whatever was read before', async () => {
    const row = newRow();
    await insertDataKeys(db, tenantNumber, [row]);
    const hex = row.scope.toString('hex');
    const most = { ...row, messages: messagesPerKeyMax - 1, kib: kibPerKeyMax - 1 };
    assert.deepEqual([...(await addClaims(db, tenantNumber, [most]))], [hex]);
    const full = { messages: messagesPerKeyMax, kib: kibPerKeyMax };
    assert.deepEqual(await claimedOf(row.scope), full);
    for (const more of [
      { ...row, messages: 1, kib: 0 },
      { ...row, messages: 0, kib: 1 },
    ]) {
      assert.equal((await addClaims(db, tenantNumber, [more])).size, 0);
    }
    assert.deepEqual(await claimedOf(row.scope), full);
  });

  it('lets the first of two transactions make a generation', async () => {
    const row = newRow();
    const other = newRow();
    assert.equal((await insertDataKeys(db, tenantNumber, [row])).size, 1);
    const second = { ...row, wrapped: randomBytes(60) };
    const inserted = await insertDataKeys(db, tenantNumber, [second, other]);
    assert.deepEqual([...inserted], [other.scope.toString('hex')]);
    const found = (await readNewest(db, tenantNumber, [row.scope])).get(row.scope.toString('hex'));
    assert.deepEqual(found?.wrapped, row.wrapped);
  });

  it('law of the layout: a person takes 200 bytes, index included', async () => {
    const rows = Array.from({ length: 4_000 }, newRow);
    const sized = await openTestDatabase<KeysSchema>('keys-size');
    await migrateToLatest(sized, migrations);
    await insertDataKeys(sized, tenantNumber, rows);
    const { rows: sizes } = await sizeOf(sized);
    const bytes = Number(sizes[0]?.bytes ?? 0n) / rows.length;
    assert.ok(bytes <= 200, `${bytes} bytes a key: ten million would need more than 2 GB`);
  });
});

async function sizeOf(db: Kysely<KeysSchema>) {
  return sql<{ bytes: bigint }>`select
    pg_relation_size('data_keys') + pg_relation_size('data_keys_pkey') as bytes`.execute(db);
}
