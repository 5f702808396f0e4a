import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { useTestDatabases } from '@lethe/platform/testing/test-database.ts';
import { startLocalPostgres } from '../../deploy/local/postgres.ts';
import { databasesOn } from './local-postgres.ts';

/**
 * For `mocha --require`: the tests of this run that take a database from `openTestDatabase` get real PostgreSQL. At the
 * end the server must have seen no deadlock: one that a retry hides is a lock order that is wrong.
 */
const server = await startLocalPostgres({ durable: false });
const databases = databasesOn(server);
useTestDatabases(databases);

export const mochaHooks = {
  afterAll: async (): Promise<void> => {
    try {
      const { rows } = await sql<{ deadlocks: bigint }>`
        select sum(deadlocks)::int8 as deadlocks from pg_stat_database`.execute(
        databases.database('last_look'),
      );
      assert.deepEqual(rows, [{ deadlocks: 0n }], 'transactions waited for each other in a circle');
    } finally {
      await databases.close();
      await server.destroy();
    }
  },
};
