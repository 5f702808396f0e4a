import assert from 'node:assert/strict';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { type LockSession, withLockSession } from '@lethe/platform/database/lock-session.ts';
import {
  createEventStoreTables,
  type EventStoreSchema,
} from '@lethe/platform/event-store/tables.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createFreshTables, hasWork } from '@lethe/platform/rebuild/fresh-tables.ts';
import { removeRebuildWork } from '@lethe/platform/rebuild/leftovers.ts';
import { withTablesLocked } from '@lethe/platform/rebuild/table-locks.ts';
import { type Kysely, sql } from 'kysely';
import type { LocalPostgres } from '../../deploy/local/postgres.ts';
import { databasesOn, openServer } from './local-postgres.ts';

/** What takes two transactions at once, or a server's own time-outs: PGlite has neither. */
describe('a rebuild on PostgreSQL', function () {
  this.timeout(120_000);
  let server: LocalPostgres | undefined;
  let databases: Databases | undefined;
  let db: Kysely<EventStoreSchema>;

  before(async function () {
    server = await openServer(false);
    if (server === undefined) this.skip();
    databases = databasesOn(server);
    db = databases.database<EventStoreSchema>('rebuild_locks');
    await createEventStoreTables(db);
  });

  after(async () => {
    await databases?.close();
    await server?.destroy();
  });

  it('gives up its locks when somebody reads for long, and lets others by until then', async () => {
    const reader = Promise.withResolvers<void>();
    const reading = Promise.withResolvers<void>();
    const dump = db.transaction().execute(async (tx) => {
      await sql`select 1 from streams`.execute(tx);
      reading.resolve();
      await reader.promise;
    });
    await reading.promise;
    let isOver = false;
    const locked = assert
      .rejects(
        withTablesLocked(db, systemClock, 'all', async () => {}),
        { reason: 'STORE_UNAVAILABLE' },
      )
      .finally(() => (isOver = true));
    let writes = 0;
    while (!isOver) {
      await sql`delete from streams`.execute(db);
      writes += 1;
    }
    await locked;
    assert.ok(writes > 10);
    reader.resolve();
    await dump;
    assert.equal(await withTablesLocked(db, systemClock, 'all', async () => 'locked'), 'locked');
  });

  it('leaves what a rebuild left while somebody reads for long, holds nobody up for it, and has it later', async () => {
    await createFreshTables(db, systemClock);
    // As a dump: it has begun, and reads every table of the schema.
    const reader = Promise.withResolvers<void>();
    const reading = Promise.withResolvers<void>();
    const dump = db.transaction().execute(async (tx) => {
      await sql`select 1 from streams, rebuild_streams`.execute(tx);
      reading.resolve();
      await reader.promise;
    });
    await reading.promise;
    let isOver = false;
    const removed = assert
      .rejects(removeRebuildWork(db, systemClock), { reason: 'STORE_UNAVAILABLE' })
      .finally(() => (isOver = true));
    let writes = 0;
    while (!isOver) {
      await sql`delete from streams`.execute(db);
      writes += 1;
    }
    await removed;
    assert.ok(writes > 1);
    assert.ok(await hasWork(db));
    reader.resolve();
    await dump;
    assert.equal(await removeRebuildWork(db, systemClock), true);
    assert.equal(await hasWork(db), false);
  });

  it('has no time-out of its statements, which go over whole tables; other lock sessions have', async () => {
    const timeout = async (session: LockSession<EventStoreSchema>): Promise<string | undefined> => {
      const { rows } = await sql<{ text: string }>`
        select current_setting('statement_timeout') as text`.execute(session.db);
      return rows[0]?.text;
    };
    assert.notEqual(await withLockSession(db, timeout), '0');
    assert.equal(await withLockSession(db, timeout, { mayTakeLong: true }), '0');
  });
});
