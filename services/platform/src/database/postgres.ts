import {
  type Dialect,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  type PostgresDialectConfig,
} from 'kysely';
import type { Databases } from './databases.ts';
import { advisoryLockNumber } from './fence-lock.ts';
import { assertUsable, type PostgresConfig } from './postgres-config.ts';
import { createPostgresPool, type PoolPurpose } from './postgres-pool.ts';

/** What to do about a schema that does not exist: its creation is the administrator's, except in one's own database. */
export type WhenMissing = 'leave' | 'create schema';

/** The adapter of a handle on a PostgreSQL server: opens further connections for what a pool cannot do. */
export class ServerAdapter extends PostgresAdapter {
  readonly #config: PostgresConfig;
  readonly #missing: WhenMissing;

  constructor(config: PostgresConfig, missing: WhenMissing) {
    super();
    this.#config = config;
    this.#missing = missing;
  }

  /** What unqualified names must mean on every connection. */
  get schemaName(): string {
    return this.#config.schemaName;
  }

  /** Before the first connection of a handle. */
  async prepare(): Promise<void> {
    if (this.#missing === 'create schema') await createSchema(this.#config);
  }

  /**
   * A handle of one connection that stays the same until `destroy`, beside the pool and past any pooler: for locks
   * that outlive a transaction. `mayTakeLong`: its statements have no time-out.
   */
  openLockHandle<Schema>(mayTakeLong = false): Kysely<Schema> {
    const { statementTimeoutMs, lockTimeoutMs } = this.#config;
    return this.#openHandle('locks', mayTakeLong ? 0 : statementTimeoutMs, lockTimeoutMs);
  }

  /** The same for migrations, which may take their time and wait for each other's. */
  openMigrationHandle<Schema>(): Kysely<Schema> {
    return this.#openHandle('migrations', 0, 0);
  }

  /** `migrateToLatest` holds a lock of its own: Kysely's would outlive the transaction and be the same in all schemas. */
  override async acquireMigrationLock(): Promise<void> {}

  override async releaseMigrationLock(): Promise<void> {}

  #openHandle<Schema>(
    what: string,
    statementTimeoutMs: number,
    lockTimeoutMs: number,
  ): Kysely<Schema> {
    const { lockAddress, address, applicationName } = this.#config;
    return openHandle<Schema>(this.#config, this, {
      address: lockAddress ?? address,
      connectionsMax: 1,
      applicationName: `${applicationName} ${what}`,
      endsWhenIdle: false,
      statementTimeoutMs,
      lockTimeoutMs,
    });
  }
}

class ServerDialect extends PostgresDialect {
  readonly #adapter: ServerAdapter;

  constructor(config: PostgresDialectConfig, adapter: ServerAdapter) {
    super(config);
    this.#adapter = adapter;
  }

  override createAdapter(): ServerAdapter {
    return this.#adapter;
  }
}

function openHandle<Schema>(
  config: PostgresConfig,
  adapter: ServerAdapter,
  purpose: PoolPurpose,
): Kysely<Schema> {
  const pool = async () => {
    await adapter.prepare();
    return createPostgresPool(config, purpose);
  };
  const dialect: Dialect = new ServerDialect({ pool }, adapter);
  return new Kysely<Schema>({ dialect });
}

/** Waits for whoever creates it at the same time: `if not exists` alone would fail then. */
async function createSchema(config: PostgresConfig): Promise<void> {
  const { address, applicationName, statementTimeoutMs, lockTimeoutMs } = config;
  const purpose = { address, connectionsMax: 1, applicationName, endsWhenIdle: false };
  const timeouts = { statementTimeoutMs, lockTimeoutMs };
  const pool = createPostgresPool(config, { ...purpose, ...timeouts });
  const client = await pool.connect();
  try {
    const lockNumber = advisoryLockNumber('create schema', config.schemaName);
    await client.query(
      `begin; select pg_advisory_xact_lock(${lockNumber});
       create schema if not exists "${config.schemaName}"; commit`,
      [],
    );
  } finally {
    client.release(true);
    await pool.end();
  }
}

/**
 * A service's handle on a PostgreSQL server: a pool whose unqualified names mean the service's schema, in READ
 * COMMITTED, with time-outs. Connects at the first statement; `destroy` ends the pool. Errors are those of
 * postgres-pool.ts. Throws CONFIG_INVALID for clear text to another machine.
 *
 * Unlike PGlite it lets a handle be used inside a transaction of the same handle; it then needs a second connection,
 * and a pool that has none left answers STORE_UNAVAILABLE after `connectTimeoutMs`.
 */
export function openPostgres<Schema>(
  config: PostgresConfig,
  missing: WhenMissing = 'leave',
): Kysely<Schema> {
  assertUsable(config);
  return openHandle<Schema>(config, new ServerAdapter(config, missing), {
    address: config.address,
    connectionsMax: config.connectionsMax,
    applicationName: config.applicationName,
    endsWhenIdle: true,
    statementTimeoutMs: config.statementTimeoutMs,
    lockTimeoutMs: config.lockTimeoutMs,
  });
}

/** One PostgreSQL database for all services of a process, as standalone shares its PGlite; for one user. */
export function createPostgresDatabases(
  config: Omit<PostgresConfig, 'schemaName' | 'applicationName'>,
): Databases {
  const handles = new Map<string, Kysely<unknown>>();
  return {
    database<Schema>(schemaName: string): Kysely<Schema> {
      const known = handles.get(schemaName);
      const applicationName = `lethe-${schemaName}`.slice(0, 63);
      const db =
        known ?? openPostgres<unknown>({ ...config, schemaName, applicationName }, 'create schema');
      handles.set(schemaName, db);
      // One handle per schema, whatever the caller knows of its tables.
      return db as unknown as Kysely<Schema>;
    },
    close: async () => {
      for (const db of handles.values()) await db.destroy();
    },
  };
}
