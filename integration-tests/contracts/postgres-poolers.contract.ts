import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { advisoryLockNumber } from '@lethe/platform/database/fence-lock.ts';
import { withAdvisoryLocks, withLockSession } from '@lethe/platform/database/lock-session.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { openPostgres } from '@lethe/platform/database/postgres.ts';
import { assertPostgresFits } from '@lethe/platform/database/postgres-check.ts';
import type { PostgresAddress, PostgresConfig } from '@lethe/platform/database/postgres-config.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { becomeSoleInstance } from '@lethe/platform/process/sole-instance.ts';
import { openDatabases } from '@lethe/standalone/systems.ts';
import type { LocalPostgres } from '../../deploy/local/postgres.ts';
import { configOf, openServer } from './local-postgres.ts';
import { type OptionDroppingPooler, startOptionDroppingPooler } from './option-dropping-pooler.ts';

describe('the locks of a service on PostgreSQL, where a pooler may be in the way,', function () {
  this.timeout(60_000);
  let server: LocalPostgres;
  let pooler: OptionDroppingPooler;
  let administrator: Kysely<unknown>;
  let ends: (() => Promise<void>)[];
  before(async function () {
    const started = await openServer(true);
    if (started === undefined) this.skip();
    server = started;
    pooler = await startOptionDroppingPooler(server.port);
    administrator = openPostgres(configOf(server, 'administrator'), 'create schema');
    await run(administrator, 'create schema service');
  });
  beforeEach(() => {
    ends = [];
  });
  afterEach(async () => {
    for (const end of ends.toReversed()) await end();
  });
  after(async () => {
    await administrator?.destroy();
    pooler?.close();
    await server?.destroy();
  });

  const run = (db: Kysely<unknown>, text: string) => sql.raw(text).execute(db);
  const at = (port: number): PostgresAddress => ({ ...configOf(server, 'service').address, port });
  const open = (overrides: Partial<PostgresConfig> = {}): Kysely<unknown> => {
    const db = openPostgres<unknown>({ ...configOf(server, 'service'), ...overrides });
    ends.push(async () => await db.destroy());
    return db;
  };
  const endConnection = async (applicationName: string) =>
    await run(
      administrator,
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = '${applicationName}'`,
    );

  it('are taken at LETHE_POSTGRES_LOCK_URL, and so are migrations', async () => {
    const db = open({ address: at(1), lockAddress: at(server.port) });
    await assert.rejects(run(db, 'select 1'), { reason: 'STORE_UNAVAILABLE' });
    await migrateToLatest(db, {
      '0001-first': { up: async (tx) => void (await run(tx, 'create table past (id int4)')) },
    });
    await withLockSession(db, async (session) => {
      assert.equal(await session.tryLock('partition 0'), true);
      assert.deepEqual((await run(session.db, 'select * from past')).rows, []);
    });
  });

  it('are refused at start where the tables or they would be in another schema', async () => {
    await assertPostgresFits(open({ address: at(server.port), lockAddress: at(server.port) }));
    await assert.rejects(assertPostgresFits(open({ address: at(pooler.port) })), {
      reason: 'CONFIG_INVALID',
      message: /schema public and not in service, as LETHE_POSTGRES_SCHEMA.*set search_path/,
    });
    const queriesAlone = open({ address: at(pooler.port), lockAddress: at(server.port) });
    await assert.rejects(assertPostgresFits(queriesAlone), {
      reason: 'CONFIG_INVALID',
      message: /LETHE_POSTGRES_URL drops the options/,
    });
    await assert.rejects(assertPostgresFits(open({ lockAddress: at(pooler.port) })), {
      reason: 'CONFIG_INVALID',
      message: /locks and migrations .* public .* LETHE_POSTGRES_LOCK_URL must name the server/,
    });
    await run(administrator, 'alter role lethe set search_path = service');
    await assertPostgresFits(open({ address: at(pooler.port), lockAddress: at(server.port) }));
    await run(administrator, 'alter role lethe reset all');
  });

  it('are not taken on a session of the server that somebody else is lent too', async () => {
    const numberOf = (name: string) => advisoryLockNumber('session', 'service', name);
    await withLockSession(open(), async (session) => {
      for (const name of ['one', 'two', 'three', 'four']) {
        // As another process does through a pooler in transaction mode: the server lets a session take it twice.
        await sql`select pg_advisory_lock(${numberOf(name)}::int8)`.execute(session.db);
        await assert.rejects(session.tryLock(name), {
          reason: 'CONFIG_INVALID',
          message: /LETHE_POSTGRES_LOCK_URL/,
        });
      }
      for (const name of ['five', 'six', 'seven', 'eight']) {
        await assert.rejects(session.assertHeld(name), { reason: 'CONFIG_INVALID' });
        assert.equal(await session.tryLock(name), true);
        await session.assertHeld(name);
        await sql`select pg_advisory_unlock(${numberOf(name)}::int8)`.execute(session.db);
        await assert.rejects(session.assertHeld(name), { reason: 'CONFIG_INVALID' });
      }
    });
  });

  it('stay with who has them when another is refused on the same session', async () => {
    const one = open();
    await one.connection().execute(async (connection) => {
      await withAdvisoryLocks(connection, async (first) => {
        assert.equal(await first.tryLock('one'), true);
        const second = withAdvisoryLocks(connection, async (other) => await other.tryLock('one'));
        await assert.rejects(second, { reason: 'CONFIG_INVALID' });
        await first.assertHeld('one');
      });
    });
  });

  it('are lost to the one process of a service when the server ends its connection', async function () {
    this.timeout(20_000);
    const { promise: lost, resolve: onLost } = Promise.withResolvers<unknown>();
    const common = { clock: systemClock, signal: new AbortController().signal };
    let waits = 0;
    const quiet = { onWait: () => (waits += 1), onLost: () => undefined };
    const first = await becomeSoleInstance({ db: open(), ...common, ...quiet, onLost });
    ends.push(async () => await first.release());
    await endConnection('lethe-service locks');
    assert.equal(Reflect.get(Object(await lost), 'reason'), 'STORE_UNAVAILABLE');
    const second = await becomeSoleInstance({ db: open(), ...common, ...quiet });
    ends.push(async () => await second.release());
    assert.ok(waits < 5, 'the server freed the lock');
  });

  it('are lost to one process on all its schemas alike, which ends it', async function () {
    this.timeout(20_000);
    const { promise: ended, resolve: onFatal } = Promise.withResolvers<unknown>();
    const logger = createLogger({ service: 'contract', level: 'silent' });
    const config = configOf(server, 'any');
    await openDatabases(
      config,
      { logger, onFatal },
      { push: (close) => void ends.push(async () => await close()) },
    );
    await endConnection('lethe-keys locks');
    const error = await ended;
    assert.equal(Reflect.get(Object(error), 'reason'), 'STORE_UNAVAILABLE');
    assert.match(String(error), /start again/);
  });
});
