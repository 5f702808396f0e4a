import {
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { ServerAdapter } from '@lethe/platform/database/postgres.ts';
import type { PostgresConfig } from '@lethe/platform/database/postgres-config.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import type { Session, SimulatedDatabase } from './simulated-database.ts';

/** Nothing connects to it: the adapter's handles are overridden. */
const nowhere: PostgresConfig = {
  address: {
    host: 'nowhere.invalid',
    port: 1,
    database: 'none',
    user: 'none',
    password: undefined,
  },
  lockAddress: undefined,
  tls: { mode: 'off' },
  schemaName: 'none',
  applicationName: 'simulation',
  connectionsMax: 1,
  connectTimeoutMs: 1,
  statementTimeoutMs: 1,
  lockTimeoutMs: 1,
  idleInTransactionTimeoutMs: 1,
};

/** The platform takes the database for a PostgreSQL server: session locks on a connection of their own. */
class SimulatedServerAdapter extends ServerAdapter {
  readonly #open: () => Kysely<unknown>;

  constructor(open: () => Kysely<unknown>) {
    super(nowhere, 'leave');
    this.#open = open;
  }

  override openLockHandle<Schema>(): Kysely<Schema> {
    return this.#open() as unknown as Kysely<Schema>;
  }

  override openMigrationHandle<Schema>(): Kysely<Schema> {
    return this.#open() as unknown as Kysely<Schema>;
  }
}

/** A process's handle on its database. */
export function openSimulatedHandle<Schema>(
  database: SimulatedDatabase,
  process: SimulatedProcess,
): Kysely<Schema> {
  const open = <Tables>(): Kysely<Tables> => new Kysely<Tables>({ dialect: dialectOf(driver()) });
  const adapter = new SimulatedServerAdapter(() => open());
  const driver = (): Driver => createDriver(database, process);
  const dialectOf = (given: Driver): Dialect => ({
    createAdapter: () => adapter,
    createDriver: () => given,
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  });
  return open<Schema>();
}

/** A pool that makes a connection for everyone who asks and ends it when it is given back or the handle is closed. */
function createDriver(database: SimulatedDatabase, process: SimulatedProcess): Driver {
  const sessions = new Set<Session>();
  return {
    init: async () => {},
    acquireConnection: async () => {
      const session = database.connect(process);
      sessions.add(session);
      return session;
    },
    releaseConnection: async (connection) => {
      const session = sessionOf(connection);
      sessions.delete(session);
      session.end();
    },
    beginTransaction: async (connection) => sessionOf(connection).begin(),
    commitTransaction: async (connection) => sessionOf(connection).commit(),
    rollbackTransaction: async (connection) => sessionOf(connection).rollback(),
    destroy: async () => {
      for (const session of sessions) session.end();
    },
  };
}

function sessionOf(connection: DatabaseConnection): Session {
  return connection as Session;
}
