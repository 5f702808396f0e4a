import { z } from 'zod';
import { parseEnvironment } from '../config/parse-environment.ts';
import { configInvalid } from '../config/parse-together.ts';
import { readSettingFile } from '../config/read-setting-file.ts';
import { Secret } from '../config/secret.ts';
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
  readonly password: Secret | undefined;
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

export const postgresSettings = z.object({
  LETHE_POSTGRES_URL: url.describe(
    'postgres://user[:password]@host[:port]/database, without parameters.',
  ),
  LETHE_POSTGRES_LOCK_URL: url
    .optional()
    .describe('The server itself, where the other is a pooler; else the same.'),
  LETHE_POSTGRES_PASSWORD_FILE: z.string().optional().describe('A file with the password.'),
  LETHE_POSTGRES_SCHEMA: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,62}$/, 'lower-case letters, digits and _')
    .optional()
    .describe("The service's schema; else the service's name."),
  LETHE_POSTGRES_CA_FILE: z
    .string()
    .optional()
    .describe('The authorities to trust, PEM; else those of Node.'),
  LETHE_POSTGRES_CERTIFICATE_FILE: z
    .string()
    .optional()
    .describe("The service's own certificate, PEM, where the server asks for one."),
  LETHE_POSTGRES_PRIVATE_KEY_FILE: z.string().optional().describe('Its private key, PEM.'),
  LETHE_POSTGRES_TLS: z
    .enum(['off', 'verify'])
    .default('verify')
    .describe('verify: certificate and name of the server are verified. off: loopback only.'),
  LETHE_POSTGRES_CONNECTIONS: wholeNumber(postgresDefaults.connectionsMax).describe(
    'Connections of one process; its relay and other lock sessions take one more each.',
  ),
  LETHE_POSTGRES_CONNECT_TIMEOUT_MS: wholeNumber(postgresDefaults.connectTimeoutMs).describe(
    'Until a connection is there, waiting for the pool included.',
  ),
  LETHE_POSTGRES_STATEMENT_TIMEOUT_MS: wholeNumber(postgresDefaults.statementTimeoutMs).describe(
    'Of one statement; the client gives up 5 s later.',
  ),
  LETHE_POSTGRES_LOCK_TIMEOUT_MS: wholeNumber(postgresDefaults.lockTimeoutMs).describe(
    'Of one wait for a lock.',
  ),
  LETHE_POSTGRES_IDLE_IN_TRANSACTION_TIMEOUT_MS: wholeNumber(
    postgresDefaults.idleInTransactionTimeoutMs,
  ).describe('A process that hangs gives its locks back after this.'),
});

/**
 * The PostgreSQL settings of a service from its environment; reads the files that they name. The schema is the
 * service's name unless said otherwise. Throws CONFIG_INVALID, which names variables and never values.
 */
export function parsePostgresConfig(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
): PostgresConfig {
  const read = parseEnvironment(service, postgresSettings, env);
  const password = fileOf('LETHE_POSTGRES_PASSWORD_FILE', read.LETHE_POSTGRES_PASSWORD_FILE);
  const withPassword = (address: PostgresAddress): PostgresAddress =>
    password === undefined ? address : { ...address, password: new Secret(password.trimEnd()) };
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

function tlsOf(read: z.output<typeof postgresSettings>): PostgresTls {
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
    const description = 'is set together with LETHE_POSTGRES_PRIVATE_KEY_FILE';
    throw configInvalid('PostgreSQL', [{ field: 'LETHE_POSTGRES_CERTIFICATE_FILE', description }]);
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
  const description = 'off is for loopback only: set it to verify, and LETHE_POSTGRES_CA_FILE';
  throw configInvalid('PostgreSQL', [{ field: 'LETHE_POSTGRES_TLS', description }]);
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
    password: parsed.password === '' ? undefined : new Secret(decodeURIComponent(parsed.password)),
  };
}

function fileOf(variable: string, path: string | undefined): string | undefined {
  return path === undefined ? undefined : readSettingFile(variable, path);
}
