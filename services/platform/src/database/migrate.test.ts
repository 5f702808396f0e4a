import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { openTestDatabase } from '../testing/test-database.ts';
import { migrateToLatest, type Migrations } from './migrate.ts';

interface Things {
  first: { id: number };
  second: { id: number };
}

const statement = (text: string) => ({
  up: async (db: Kysely<unknown>): Promise<void> => {
    await sql.raw(text).execute(db);
  },
});

const one: Migrations = { '0001-first': statement('create table first (id int4)') };
const two: Migrations = { ...one, '0002-second': statement('create table second (id int4)') };

describe('migrateToLatest', function () {
  this.timeout(60_000);

  it('migrates, goes on from there, and does nothing the next time', async () => {
    const db = await openTestDatabase<Things>('migrate');
    await migrateToLatest(db, one);
    await db.insertInto('first').values({ id: 1 }).execute();
    await migrateToLatest(db, two);
    await migrateToLatest(db, two);
    assert.deepEqual(await db.selectFrom('first').selectAll().execute(), [{ id: 1 }]);
    assert.deepEqual(await db.selectFrom('second').selectAll().execute(), []);
  });

  it('keeps the migrations of two schemas apart', async () => {
    const db = await openTestDatabase<Things>('migrate');
    await migrateToLatest(db, one);
    assert.deepEqual(await db.selectFrom('first').selectAll().execute(), []);
  });

  it('refuses a schema that newer code has migrated and leaves it alone', async () => {
    const db = await openTestDatabase<Things>('migrate');
    await migrateToLatest(db, two);
    await assert.rejects(migrateToLatest(db, one), {
      reason: 'SCHEMA_NEWER',
      message: /0002-second/,
    });
    assert.deepEqual(await db.selectFrom('second').selectAll().execute(), []);
  });

  it('rolls back everything when one migration fails', async () => {
    const db = await openTestDatabase<Things>('migrate');
    const broken = { ...one, '0002-broken': statement('create nonsense') };
    await assert.rejects(migrateToLatest(db, broken), { name: 'DatabaseError' });
    await migrateToLatest(db, two);
    assert.deepEqual(await db.selectFrom('first').selectAll().execute(), []);
  });
});
