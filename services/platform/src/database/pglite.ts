import { AsyncLocalStorage } from 'node:async_hooks';
import type { PGlite } from '@electric-sql/pglite';
import {
  type ConnectionProvider,
  DefaultQueryExecutor,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PGliteAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { assertSchemaName, type Databases } from './databases.ts';
import { startHungQueryWatchdog } from './hung-query.ts';
import { PgliteSession } from './pglite-session.ts';
import { createTurns, type Turns } from './turns.ts';

/**
 * What every PGlite of Lethe is created with: `PGlite.create(folder, pgliteOptions)`.
 * bytea goes through Buffer (reads are 10 times as fast as by PGlite's own conversion) and comes back as Buffer;
 * int8, so also count(*), comes back as bigint always, because a sequence may pass 2^53.
 */
export const pgliteOptions = {
  serializers: {
    17: (value: unknown): string => byteaText(value),
    20: (value: unknown): string => String(value),
  },
  parsers: {
    17: (text: string): Buffer => Buffer.from(text.slice(2), 'hex'),
    20: (text: string): bigint => BigInt(text),
  },
};

function byteaText(value: unknown): string {
  if (!(value instanceof Uint8Array)) throw new TypeError('bytea takes bytes');
  const bytes = Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.length);
  return `\\x${bytes.toString('hex')}`;
}

export interface PgliteDatabasesOptions {
  /** A single statement that takes longer is taken for hung, as on a full disk. Default 60 s. */
  readonly queryTimeoutMs?: number;
  /**
   * Told once, with the reason, when a statement hangs or the database has stopped (it panics on a full disk). Later
   * statements throw STORE_UNAVAILABLE or never answer, so standalone ends the process.
   */
  readonly onHung?: (reason: string) => void;
  /**
   * Whether a thread of its own ends the process when a statement spins inside WASM, where neither timers nor signal
   * handlers run any more. Default false.
   */
  readonly killsHungProcess?: boolean;
}

/** One PGlite, a schema per service. */
export interface PgliteDatabases extends Databases {
  /**
   * A handle whose unqualified names mean `schemaName` (created when missing; lower-case letters, digits, `_`).
   * Transactions of all handles take turns, first come, first served. Using any handle inside a transaction of any
   * handle throws NESTED_TRANSACTION, where waiting would be a deadlock.
   */
  database<Schema>(schemaName: string): Kysely<Schema>;
  /** Waits for the turns already asked for, refuses later ones with SHUTTING_DOWN, closes PGlite; idempotent. */
  close(): Promise<void>;
}

/**
 * The adapter of one schema on PGlite's one connection. Session-level advisory locks mean nothing on a connection that
 * all share, so relays of one process exclude each other by `heldLocks` (see lock-session.ts).
 */
export class SharedConnectionAdapter extends PGliteAdapter {
  readonly heldLocks = new Set<string>();
}

interface Held {
  active: boolean;
}

class SchemaConnectionProvider implements ConnectionProvider {
  readonly #schemaName: string;
  readonly #session: PgliteSession;
  readonly #turns: Turns;
  readonly #held: AsyncLocalStorage<Held>;

  constructor(
    schemaName: string,
    session: PgliteSession,
    turns: Turns,
    held: AsyncLocalStorage<Held>,
  ) {
    this.#schemaName = schemaName;
    this.#session = session;
    this.#turns = turns;
    this.#held = held;
  }

  async provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    // `active` is cleared at the end, so that work which was merely started in a transaction may use the handle later.
    if (this.#held.getStore()?.active === true) {
      throw new ServiceError(
        'NESTED_TRANSACTION',
        `the handle of schema ${this.#schemaName} was used inside a transaction: use the transaction's own handle`,
      );
    }
    const giveBack = await this.#turns.take();
    const holding: Held = { active: true };
    try {
      await this.#session.useSchema(this.#schemaName);
      return await this.#held.run(holding, () => consumer(this.#session));
    } finally {
      holding.active = false;
      giveBack();
    }
  }
}

function sessionOf(connection: DatabaseConnection): PgliteSession {
  if (connection instanceof PgliteSession) return connection;
  throw new ServiceError('INTERNAL_DEFECT', 'a connection of another driver');
}

/** Connections are handed out by SchemaConnectionProvider, so acquire and release are never called. */
function createDriver(session: PgliteSession): Driver {
  const run = async (
    connection: DatabaseConnection,
    statement: string,
    name: string,
  ): Promise<void> => {
    await sessionOf(connection).control(`${statement} "${name}"`);
  };
  return {
    init: async () => {},
    destroy: async () => {},
    acquireConnection: async () => session,
    releaseConnection: async () => {},
    beginTransaction: (connection, settings) => sessionOf(connection).begin(settings),
    commitTransaction: (connection) => sessionOf(connection).commit(),
    rollbackTransaction: (connection) => sessionOf(connection).rollback(),
    savepoint: (connection, name) => run(connection, 'savepoint', name),
    rollbackToSavepoint: (connection, name) => run(connection, 'rollback to savepoint', name),
    releaseSavepoint: (connection, name) => run(connection, 'release savepoint', name),
  };
}

function dialectOf(adapter: SharedConnectionAdapter, driver: Driver): Dialect {
  return {
    createAdapter: () => adapter,
    createDriver: () => driver,
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

/** How long a shutdown that `onHung` began may take before the thread ends the process. */
const killsAfterMs = 10_000;

/** Shares one PGlite among services. Create the PGlite with `pgliteOptions`. */
export function createPgliteDatabases(
  pglite: PGlite,
  options: PgliteDatabasesOptions = {},
): PgliteDatabases {
  const watchdog = startHungQueryWatchdog({
    timeoutMs: options.queryTimeoutMs ?? 60_000,
    onHung: options.onHung ?? (() => {}),
    killsAfterMs: options.killsHungProcess === true ? killsAfterMs : undefined,
  });
  const session = new PgliteSession(pglite, watchdog.watch, watchdog.report);
  const turns = createTurns();
  const held = new AsyncLocalStorage<Held>();
  const adapters = new Map<string, SharedConnectionAdapter>();
  const driver = createDriver(session);
  return {
    database<Schema>(schemaName: string) {
      assertSchemaName(schemaName);
      const adapter = adapters.get(schemaName) ?? new SharedConnectionAdapter();
      adapters.set(schemaName, adapter);
      const dialect = dialectOf(adapter, driver);
      const provider = new SchemaConnectionProvider(schemaName, session, turns, held);
      const executor = new DefaultQueryExecutor(dialect.createQueryCompiler(), adapter, provider);
      return new Kysely<Schema>({ config: { dialect }, driver, executor, dialect });
    },
    async close() {
      await turns.close();
      if (!pglite.closed) await pglite.close();
      await watchdog.stop();
    },
  };
}
