import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { openTestDatabase, openTestDatabases } from '../testing/test-database.ts';
import { until } from '../testing/until.ts';
import { vacuumDeadRows } from './pglite-vacuum.ts';

describe('vacuum of the embedded database', function () {
  this.timeout(60_000);

  it('frees the space of dead rows, in any schema', async () => {
    const databases = await openTestDatabases();
    const db: Kysely<unknown> = await openTestDatabase('vacuum');
    await sql`create table queue (id int4, value text)`.execute(db);
    const deadRows = async (): Promise<bigint> => {
      const { rows } = await sql<{ dead: bigint }>`
        select n_dead_tup as dead from pg_stat_user_tables
        where relname = 'queue' and schemaname = current_schema()`.execute(db);
      return rows[0]?.dead ?? 0n;
    };
    await sql`insert into queue select n, 'x' from generate_series(1, 3000) as n`.execute(db);
    await sql`delete from queue where id > 10`.execute(db);
    // PostgreSQL writes its statistics down at most once a second.
    await until(async () => (await deadRows()) > 2_000n);
    assert.ok((await vacuumDeadRows(databases)) >= 1);
    await until(async () => (await deadRows()) === 0n);
    const { rows } = await sql<{ count: bigint }>`select count(*) as count from queue`.execute(db);
    assert.equal(rows[0]?.count, 10n);
  });
});
