import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import { ServiceError } from '../errors/service-error.ts';
import { isTransient } from '../retry/is-transient.ts';
import { tlsFailureOf } from '../tls/tls-failure.ts';
import { sanitizeDatabaseError } from './database-error.ts';
import type { PostgresAddress, PostgresConfig, PostgresTls } from './postgres-config.ts';
import { postgresTypes } from './postgres-types.ts';

export interface PoolPurpose {
  readonly address: PostgresAddress;
  readonly connectionsMax: number;
  readonly applicationName: string;
  /** Whether a connection may be given up after a while without work. */
  readonly endsWhenIdle: boolean;
  /** Milliseconds; 0: none, neither here nor at the server. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** What every connection is set to, whatever server, database or role say. */
function sessionSettings(schemaName: string): string {
  const settings: Record<string, string> = {
    search_path: schemaName,
    // Laws read what was committed while they waited for a lock: a snapshot of the whole transaction would not see it.
    default_transaction_isolation: 'read\\ committed',
    TimeZone: 'UTC',
    DateStyle: 'ISO',
    bytea_output: 'hex',
    // A connection that has nothing to do is kept: it may hold a relay's lock.
    idle_session_timeout: '0',
    // A client whose machine is gone frees its locks after 30 + 3 * 10 s.
    tcp_keepalives_idle: '30',
    tcp_keepalives_interval: '10',
    tcp_keepalives_count: '3',
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

function tlsOptions(tls: PostgresTls): PoolConfig['ssl'] {
  switch (tls.mode) {
    case 'off':
      return false;
    case 'verify':
      return {
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2',
        ...(tls.caPem === undefined ? {} : { ca: tls.caPem }),
        ...(tls.clientPem === undefined
          ? {}
          : { cert: tls.clientPem.certificate, key: tls.clientPem.privateKey }),
      };
  }
}

/** How much longer the client waits than the server works, so that the server's own answer comes first. */
const answerDelayMs = 5_000;

/** Connections whose errors carry no values and say when a retry may help. */
export function createPostgresPool(config: PostgresConfig, purpose: PoolPurpose): PostgresPool {
  const { address, connectionsMax, applicationName, endsWhenIdle } = purpose;
  const { statementTimeoutMs, lockTimeoutMs } = purpose;
  const options: PoolConfig = {
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    ...(address.password === undefined ? {} : { password: address.password.reveal() }),
    ssl: tlsOptions(config.tls) ?? false,
    types: postgresTypes,
    application_name: applicationName,
    options: sessionSettings(config.schemaName),
    max: connectionsMax,
    idleTimeoutMillis: endsWhenIdle ? 30_000 : 0,
    connectionTimeoutMillis: config.connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
    // For a network that swallows everything; the operating system would notice after ten minutes.
    query_timeout: statementTimeoutMs === 0 ? 0 : statementTimeoutMs + answerDelayMs,
    idle_in_transaction_session_timeout: config.idleInTransactionTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
  const pool = new Pool(options);
  // A connection that ends while nobody waits for an answer is no news: the pool drops it, and whoever holds it hears
  // at the next statement. Without a listener the event would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return {
    options,
    connect: async () => new GuardedClient(await connected(pool)),
    end: async () => await pool.end(),
  };
}

async function connected(pool: Pool): Promise<PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw postgresError(error);
  }
}

/** A connection on loan from the pool; thrown away when anything but an answer of the server came back. */
class GuardedClient implements PostgresPoolClient {
  readonly #client: PoolClient;
  #broken = false;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  query<R>(statement: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
  query<R>(
    statement: string | PostgresCursor<R>,
    parameters: readonly unknown[] = [],
  ): PostgresCursor<R> | Promise<PostgresQueryResult<R>> {
    if (typeof statement === 'string') return this.#run<R>(statement, parameters);
    throw new ServiceError('INTERNAL_DEFECT', 'no cursors: page through the rows');
  }

  release(destroy = false): void {
    this.#client.release(destroy || this.#broken);
  }

  async #run<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    try {
      const result = await this.#client.query({ text, values: [...values] });
      // The command tags are PostgreSQL's; Kysely's type lists those that it looks at.
      return result as unknown as PostgresQueryResult<R>;
    } catch (error) {
      if (!hasSqlState(error) || isLastWord(error)) this.#broken = true;
      throw postgresError(error);
    }
  }
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}

function hasSqlState(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '') && codeOf(error) !== 'EPIPE';
}

/** The server ends the connection after it. */
function isLastWord(error: unknown): boolean {
  const severity: unknown = error instanceof Error ? Reflect.get(error, 'severity') : undefined;
  return severity === 'FATAL' || severity === 'PANIC';
}

/** How `pg` words what has no code. */
const lostText = /timeout exceeded when trying to connect|Query read timeout|^timeout expired/;
/** A password was asked for and there is none, or what answers does not know it either. */
const loginText = /^SASL: |^Password must be a string/;
const tlsText = /does not support SSL|SSL/;

/**
 * The driver's error without values: STORE_UNAVAILABLE when a retry may help (a connection that was lost, refused or
 * not to be had in time; a server that starts, stops or fails over), STORE_ACCESS_DENIED when the login is refused or
 * TLS does not come about, otherwise DatabaseError.
 */
export function postgresError(error: unknown): unknown {
  const clean = hasSqlState(error) ? sanitizeDatabaseError(error) : error;
  if (clean !== error || !(error instanceof Error)) return clean;
  const code = codeOf(error);
  const cause = new Error(error.message, { cause: error.cause });
  if (isTransient(error) || lostText.test(error.message)) {
    const said = code ?? error.message;
    return new ServiceError('STORE_UNAVAILABLE', `the database cannot be reached: ${said}`, {
      cause,
    });
  }
  const tlsFailure = tlsFailureOf(error);
  if (tlsFailure !== undefined || tlsText.test(error.message)) {
    const said = tlsFailure ?? 'the server speaks no TLS';
    const message = `TLS with the database does not come about (${said}): see LETHE_POSTGRES_CA_FILE`;
    return new ServiceError('STORE_ACCESS_DENIED', message, { cause });
  }
  if (loginText.test(error.message)) {
    const message =
      'The login at the database does not come about: name a file with its password by LETHE_POSTGRES_PASSWORD_FILE.';
    return new ServiceError('STORE_ACCESS_DENIED', message, { cause });
  }
  return error;
}
