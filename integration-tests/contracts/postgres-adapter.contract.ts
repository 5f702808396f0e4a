import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { DatabaseError } from '@lethe/platform/database/database-error.ts';
import { migrateToLatest, type Migrations } from '@lethe/platform/database/migrate.ts';
import { withLockSession } from '@lethe/platform/database/lock-session.ts';
import { openPostgres } from '@lethe/platform/database/postgres.ts';
import { assertPostgresFits } from '@lethe/platform/database/postgres-check.ts';
import type { PostgresConfig } from '@lethe/platform/database/postgres-config.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { LocalPostgres } from '../../deploy/local/postgres.ts';
import { configOf, openServer } from './local-postgres.ts';

interface Notes {
  notes: { count: bigint; body: Buffer | null };
}

describe('the PostgreSQL adapter', function () {
  this.timeout(60_000);
  let server: LocalPostgres;
  let opened: Kysely<unknown>[];
  before(async function () {
    const started = await openServer(true);
    if (started === undefined) this.skip();
    server = started;
  });
  beforeEach(() => {
    opened = [];
  });
  afterEach(async () => {
    for (const db of opened) await db.destroy();
  });
  after(() => server?.destroy());

  const open = (name: string, overrides: Partial<PostgresConfig> = {}): Kysely<unknown> => {
    const db = openPostgres<unknown>({ ...configOf(server, name), ...overrides }, 'create schema');
    opened.push(db);
    return db;
  };
  const run = (db: Kysely<unknown>, text: string) => sql.raw(text).execute(db);
  const asAdministrator = async (text: string): Promise<void> => {
    await run(open('administrator'), text);
  };
  const isUnavailable = { name: 'ServiceError', reason: 'STORE_UNAVAILABLE' };

  it('carries bytes as Buffer and int8 as bigint, in arrays too, as PGlite does', async () => {
    const db = open('types');
    const body = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const view = new Uint8Array(body.buffer, body.byteOffset + 3, 4);
    const past = 2n ** 60n + 1n;
    const { rows } = await sql`select ${body}::bytea as body, ${past}::int8 as past,
      count(*) as count, ${[view, Buffer.alloc(0)]}::bytea[] as bytes,
      ${[past, null, 0n]}::int8[] as numbers, '{}'::int8[] as none, 1.50::numeric as exact,
      '2026-01-01T00:00:00Z'::timestamptz as at, 'text' as text`.execute(db);
    assert.deepEqual(rows, [
      {
        body,
        past,
        count: 1n,
        bytes: [Buffer.from([3, 4, 5, 6]), Buffer.alloc(0)],
        numbers: [past, null, 0n],
        none: [],
        exact: '1.50',
        at: new Date('2026-01-01T00:00:00Z'),
        text: 'text',
      },
    ]);
  });

  it('keeps the values of a failed statement out of its error', async () => {
    const db = open('values') as Kysely<unknown> as Kysely<Notes>;
    await sql`create table notes (count int8 unique, body bytea)`.execute(db);
    const insert = () => db.insertInto('notes').values({ count: 77_001n, body: null }).execute();
    await insert();
    for (const failing of [insert(), sql`select ${'77001 x'}::text::int4`.execute(db)]) {
      const error: unknown = await failing.then(
        () => assert.fail('the statement should fail'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof DatabaseError);
      const all = `${error.stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`;
      assert.doesNotMatch(all, /77001/);
    }
    await assert.rejects(insert(), { sqlState: '23505', constraint: 'notes_count_key' });
  });

  it('reports a commit that the server turned into a rollback', async () => {
    const work = open('aborted')
      .transaction()
      .execute(async (tx) => {
        await run(tx, 'select 1 / 0').catch(() => {});
      });
    await assert.rejects(work, { name: 'AbortedTransactionError' });
  });

  it('ends statements, waits for locks and idle transactions in time, for a retry', async () => {
    const limits = { statementTimeoutMs: 300, lockTimeoutMs: 100, idleInTransactionTimeoutMs: 100 };
    const db = open('limits', limits);
    await assert.rejects(run(db, 'select pg_sleep(5)'), { ...isUnavailable, message: /57014/ });
    await run(db, 'create table locked (id int4)');
    const holder = open('limits');
    await holder.transaction().execute(async (tx) => {
      await run(tx, 'lock table locked');
      await assert.rejects(run(db, 'select * from locked'), { ...isUnavailable, message: /55P03/ });
    });
    const idle = db.transaction().execute(async (tx) => {
      await run(tx, 'select 1');
      await run(holder, 'select pg_sleep(0.4)');
      await run(tx, 'select 1');
    });
    await assert.rejects(idle, isUnavailable);
    assert.deepEqual((await run(db, 'select 1 as alive')).rows, [{ alive: 1 }]);
  });

  it('is in READ COMMITTED, in UTC and in its own schema, whatever the user is set to', async () => {
    await asAdministrator(
      `alter role lethe set default_transaction_isolation = 'serializable';
       alter role lethe set timezone = 'Asia/Tokyo'; alter role lethe set search_path = public`,
    );
    const { rows } = await run(
      open('own'),
      `select current_setting('transaction_isolation') as isolation,
        current_setting('timezone') as zone, current_schemas(false)::text[] as schemas,
        current_setting('application_name') as name`,
    );
    await asAdministrator('alter role lethe reset all');
    assert.deepEqual(rows, [
      { isolation: 'read committed', zone: 'UTC', schemas: ['own'], name: 'lethe-own' },
    ]);
  });

  it('refuses at start a server that may lose commits that it answered', async () => {
    await assertPostgresFits(open('fits'));
    await asAdministrator('alter role lethe set synchronous_commit = off');
    await assert.rejects(assertPostgresFits(open('fits')), {
      reason: 'CONFIG_INVALID',
      message: /synchronous_commit is off/,
    });
    await asAdministrator('alter role lethe reset all');
    const without = openPostgres(configOf(server, 'nowhere'));
    await assert.rejects(assertPostgresFits(without), { message: /schema .* does not exist/ });
    await without.destroy();
  });

  it('goes on after every one of its connections was ended by the server', async () => {
    const db = open('ended');
    await Promise.all([1, 2, 3].map(() => run(db, 'select pg_sleep(0.05)')));
    const waiting = run(db, 'select pg_sleep(30)');
    const inTransaction = db.transaction().execute(async (tx) => {
      await run(tx, 'select 1');
      await asAdministrator(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lethe-ended'`,
      );
      await run(tx, 'select 1');
    });
    await Promise.all([
      assert.rejects(waiting, isUnavailable),
      assert.rejects(inTransaction, isUnavailable),
    ]);
    // A connection that was idle may not know yet: whoever gets it is told to try again.
    await until(async () => {
      try {
        return (await run(db, 'select 1')).rows.length === 1;
      } catch (error) {
        assert.ok(error instanceof ServiceError && error.reason === 'STORE_UNAVAILABLE');
        return false;
      }
    });
  });

  it('says STORE_UNAVAILABLE while the server is away or the pool is used up', async () => {
    const away = open('types', { address: { ...configOf(server, 'x').address, port: 1 } });
    await assert.rejects(run(away, 'select 1'), isUnavailable);
    const small = open('small', { connectionsMax: 1, connectTimeoutMs: 200 });
    await small.transaction().execute(async (tx) => {
      await run(tx, 'select 1');
      await assert.rejects(run(small, 'select 1'), isUnavailable);
    });
  });

  it('refuses clear text to another machine', () => {
    const address = { ...configOf(server, 'x').address, host: 'db.example' };
    assert.throws(() => openPostgres({ ...configOf(server, 'x'), address }), {
      reason: 'CONFIG_INVALID',
    });
  });

  it('frees the locks of a session whose connection ends, and that session is over', async () => {
    const db = open('sessions');
    const session = withLockSession(db, async (one) => {
      assert.equal(await one.tryLock('partition 0'), true);
      await asAdministrator(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'lethe-sessions locks'`,
      );
      await withLockSession(db, async (other) => {
        await until(async () => await other.tryLock('partition 0'));
      });
      await run(one.db, 'select 1');
    });
    await assert.rejects(session, isUnavailable);
  });

  describe('migrations', () => {
    const step = (text: string) => ({
      up: async (db: Kysely<unknown>): Promise<void> => {
        await run(db, text);
      },
    });
    const migrations: Migrations = {
      '0001-first': step('create table first (id int4)'),
      // Longer than the time-outs of the service's own statements.
      '0002-slow': step('select pg_sleep(0.5); insert into first values (1)'),
    };
    const limits = { statementTimeoutMs: 200, lockTimeoutMs: 100 };

    it('run once when ten processes start together, and the others wait', async () => {
      const starters = Array.from({ length: 10 }, () => open('together', limits));
      await Promise.all(starters.map(async (db) => await migrateToLatest(db, migrations)));
      const { rows } = await run(open('together'), 'select count(*) as count from first');
      assert.deepEqual(rows, [{ count: 1n }]);
    });

    it('leave nothing behind when the connection ends in the middle, and run at the next start', async () => {
      const dying = migrateToLatest(open('dying', limits), migrations);
      const killed = assert.rejects(dying, (error) => error instanceof ServiceError);
      await until(async () => {
        const { rows } = await run(
          open('administrator'),
          `select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'lethe-dying migrations' and query like '%pg_sleep(0.5)%'`,
        );
        return rows.length > 0;
      });
      await killed;
      const db = open('dying', limits);
      const { rows: left } = await run(db, `select to_regclass('first') is null as nothing`);
      assert.deepEqual(left, [{ nothing: true }]);
      await migrateToLatest(db, migrations);
      const { rows } = await run(db, 'select count(*) as count from first');
      assert.deepEqual(rows, [{ count: 1n }]);
    });
  });
});
