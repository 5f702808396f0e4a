import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseEnvironment } from '../config/parse-environment.ts';
import { ServiceError } from '../errors/service-error.ts';
import { assertSchemaName } from './databases.ts';

/** How bytes travel to the server. */
export type PostgresTls =
  /** Clear text: loopback only. */
  | { readonly mode: 'off' }
  /** The server's certificate and name are verified, always. */
  | {
      readonly mode: 'verify';
      /** Certificates to trust, PEM; without it those that Node trusts. */
      readonly caPem?: string;
      /** The client's own certificate and its private key, PEM, where the server asks for them. */
      readonly clientPem?: { readonly certificate: string; readonly privateKey: string };
    };

/** Where the server is, and as whom to log in. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
}

export interface PostgresConfig {
  readonly address: PostgresAddress;
  /**
   * The server itself, where `address` is a connection pooler: session-level advisory locks need a connection that
   * stays one (lock-session.ts). Undefined: `address`.
   */
  readonly lockAddress: PostgresAddress | undefined;
  readonly tls: PostgresTls;
  /** The service's own schema, and all of its search_path. */
  readonly schemaName: string;
  /** Shows in pg_stat_activity. */
  readonly applicationName: string;
  /** Connections of this process; its relay and other lock sessions take one more each. */
  readonly connectionsMax: number;
  /** Until a connection is there, waiting for one of the pool included. */
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Of a transaction that waits for its next statement: a process that hangs must not hold locks for ever. */
  readonly idleInTransactionTimeoutMs: number;
}

/** What a service runs with unless told otherwise. */
export const postgresDefaults = {
  connectionsMax: 10,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
  lockTimeoutMs: 10_000,
  idleInTransactionTimeoutMs: 10_000,
} as const;

const url = z.string().refine((text) => parseAddress(text) !== undefined, {
  error: 'must be postgres://user[:password]@host[:port]/database',
});
const wholeNumber = (fallback: number) => z.coerce.number().int().min(1).default(fallback);

const variables = z.object({
  LETHE_POSTGRES_URL: url,
  LETHE_POSTGRES_LOCK_URL: url.optional(),
  LETHE_POSTGRES_PASSWORD_FILE: z.string().optional(),
  LETHE_POSTGRES_SCHEMA: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower-case letters, digits and _')
    .optional(),
  LETHE_POSTGRES_CA_FILE: z.string().optional(),
  LETHE_POSTGRES_CERTIFICATE_FILE: z.string().optional(),
  LETHE_POSTGRES_PRIVATE_KEY_FILE: z.string().optional(),
  LETHE_POSTGRES_TLS: z.enum(['off', 'verify']).default('verify'),
  LETHE_POSTGRES_CONNECTIONS: wholeNumber(postgresDefaults.connectionsMax),
  LETHE_POSTGRES_CONNECT_TIMEOUT_MS: wholeNumber(postgresDefaults.connectTimeoutMs),
  LETHE_POSTGRES_STATEMENT_TIMEOUT_MS: wholeNumber(postgresDefaults.statementTimeoutMs),
  LETHE_POSTGRES_LOCK_TIMEOUT_MS: wholeNumber(postgresDefaults.lockTimeoutMs),
  LETHE_POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT_MS: wholeNumber(
    postgresDefaults.idleInTransactionTimeoutMs,
  ),
});

/**
 * The PostgreSQL settings of a service from its environment; reads the files that they name. The schema is the
 * service's name unless said otherwise. Throws CONFIG_INVALID, which names variables and never values.
 */
export function parsePostgresConfig(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
): PostgresConfig {
  const read = parseEnvironment(service, variables, env);
  const password = fileOf('LETHE_POSTGRES_PASSWORD_FILE', read.LETHE_POSTGRES_PASSWORD_FILE);
  const withPassword = (address: PostgresAddress): PostgresAddress =>
    password === undefined ? address : { ...address, password: password.trimEnd() };
  const lockAddress = parseAddress(read.LETHE_POSTGRES_LOCK_URL ?? '');
  const config: PostgresConfig = {
    address: withPassword(addressOf(read.LETHE_POSTGRES_URL)),
    lockAddress: lockAddress && withPassword(lockAddress),
    tls: tlsOf(read),
    schemaName: read.LETHE_POSTGRES_SCHEMA ?? service,
    applicationName: `lethe-${service}`,
    connectionsMax: read.LETHE_POSTGRES_CONNECTIONS,
    connectTimeoutMs: read.LETHE_POSTGRES_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: read.LETHE_POSTGRES_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: read.LETHE_POSTGRES_LOCK_TIMEOUT_MS,
    idleInTransactionTimeoutMs: read.LETHE_POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT_MS,
  };
  assertUsable(config);
  return Object.freeze(config);
}

function tlsOf(read: z.output<typeof variables>): PostgresTls {
  if (read.LETHE_POSTGRES_TLS === 'off') return { mode: 'off' };
  const caPem = fileOf('LETHE_POSTGRES_CA_FILE', read.LETHE_POSTGRES_CA_FILE);
  const certificate = fileOf(
    'LETHE_POSTGRES_CERTIFICATE_FILE',
    read.LETHE_POSTGRES_CERTIFICATE_FILE,
  );
  const privateKey = fileOf(
    'LETHE_POSTGRES_PRIVATE_KEY_FILE',
    read.LETHE_POSTGRES_PRIVATE_KEY_FILE,
  );
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw new ServiceError(
      'CONFIG_INVALID',
      'set LETHE_POSTGRES_CERTIFICATE_FILE and LETHE_POSTGRES_PRIVATE_KEY_FILE together',
    );
  }
  return {
    mode: 'verify',
    ...(caPem === undefined ? {} : { caPem }),
    ...(certificate === undefined || privateKey === undefined
      ? {}
      : { clientPem: { certificate, privateKey } }),
  };
}

/** Throws CONFIG_INVALID when the settings do not go together, RangeError for a schema's name. */
export function assertUsable(config: PostgresConfig): void {
  assertSchemaName(config.schemaName);
  if (config.tls.mode !== 'off') return;
  const hosts = [config.address.host, config.lockAddress?.host ?? config.address.host];
  if (hosts.every(isLoopback)) return;
  throw new ServiceError(
    'CONFIG_INVALID',
    'PostgreSQL without TLS is for loopback only: set LETHE_POSTGRES_TLS=verify and LETHE_POSTGRES_CA_FILE',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function addressOf(text: string): PostgresAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError('no address of a PostgreSQL server');
  return address;
}

/** `postgres://user[:password]@host[:port]/database`; undefined when it is anything else. */
export function parseAddress(text: string): PostgresAddress | undefined {
  if (!URL.canParse(text)) return undefined;
  const parsed = new URL(text);
  const database = decodeURIComponent(parsed.pathname.slice(1));
  const known = parsed.protocol === 'postgres:' || parsed.protocol === 'postgresql:';
  // Parameters such as sslmode=disable would be a second way to say what has a typed setting here.
  if (!known || parsed.search !== '' || database === '' || parsed.username === '') return undefined;
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port === '' ? 5432 : Number(parsed.port),
    database,
    user: decodeURIComponent(parsed.username),
    password: parsed.password === '' ? undefined : decodeURIComponent(parsed.password),
  };
}

function fileOf(variable: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ServiceError('CONFIG_INVALID', `the file named by ${variable} cannot be read`, {
      cause,
    });
  }
}
