import type { Databases } from '@lethe/platform/database/databases.ts';
import { createPostgresDatabases } from '@lethe/platform/database/postgres.ts';
import {
  parseAddress,
  type PostgresConfig,
  postgresDefaults,
} from '@lethe/platform/database/postgres-config.ts';
import {
  findPostgresBinaries,
  type LocalPostgres,
  startLocalPostgres,
} from '../../deploy/local/postgres.ts';

/** How to reach a local server: without TLS, as its superuser. */
export function configOf(server: LocalPostgres, schemaName: string): PostgresConfig {
  const address = parseAddress(server.url);
  if (address === undefined) throw new RangeError('a local server has an address');
  return {
    ...postgresDefaults,
    address,
    lockAddress: undefined,
    tls: { mode: 'off' },
    schemaName,
    applicationName: `lethe-${schemaName}`,
  };
}

/** What a busy machine makes slow is no failure here. */
const patience = {
  connectTimeoutMs: 60_000,
  lockTimeoutMs: 60_000,
  statementTimeoutMs: 120_000,
  idleInTransactionTimeoutMs: 60_000,
};

/** A schema for whoever names one; few connections each, since a run has many schemas. */
export function databasesOn(server: LocalPostgres, connectionsMax = 5): Databases {
  return createPostgresDatabases({ ...configOf(server, 'any'), ...patience, connectionsMax });
}

/** A server, or undefined where none is installed; in CI that is a failure. */
export async function openServer(durable: boolean): Promise<LocalPostgres | undefined> {
  if (findPostgresBinaries() === undefined) {
    if (process.env['CI'] === 'true')
      throw new Error('CI needs PostgreSQL: apt-get install postgresql');
    console.warn('SKIPPED: no PostgreSQL server here (apt-get install postgresql)');
    return undefined;
  }
  const server = await startLocalPostgres({ durable });
  console.log(`    ${server.version}`);
  return server;
}
