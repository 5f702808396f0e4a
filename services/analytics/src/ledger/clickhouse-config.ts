import { createClient, ClickHouseLogLevel, type ClickHouseClient } from '@clickhouse/client';
import { z } from 'zod';
import { configInvalid } from '@lethe/platform/config/parse-together.ts';
import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { readSettingFile } from '@lethe/platform/config/read-setting-file.ts';
import { Secret } from '@lethe/platform/config/secret.ts';

/** How to reach a ClickHouse server over HTTP. */
export interface ClickHouseConfig {
  readonly url: string;
  readonly user: string;
  readonly password: Secret;
  /** PEM; undefined: the authorities of Node. */
  readonly authorityPem: string | undefined;
  readonly requestTimeoutMs: number;
}

/** The variables, with their meaning. */
export const clickHouseSettings = z.object({
  LETHE_CLICKHOUSE_URL: z
    .string()
    .refine(isSafeUrl, {
      error: 'must be https://host[:port] without a path; http is for loopback alone',
    })
    .describe('The HTTP interface, https://host[:port].'),
  LETHE_CLICKHOUSE_USER: z.string().min(1).default('default').describe('As whom to log in.'),
  LETHE_CLICKHOUSE_PASSWORD_FILE: z
    .string()
    .optional()
    .describe('A file with the password; without it none is sent.'),
  LETHE_CLICKHOUSE_CA_FILE: z
    .string()
    .optional()
    .describe("Authorities that may sign the server's certificate, PEM; else those of Node."),
  LETHE_CLICKHOUSE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(600_000)
    .default(30_000)
    .describe('Of one request, milliseconds.'),
});

/** Throws CONFIG_INVALID with every broken setting. */
export function parseClickHouseConfig(
  env: Readonly<Record<string, string | undefined>>,
): ClickHouseConfig {
  const read = parseEnvironment('analytics', clickHouseSettings, env);
  const passwordFile = read.LETHE_CLICKHOUSE_PASSWORD_FILE;
  const authorityFile = read.LETHE_CLICKHOUSE_CA_FILE;
  const isEncrypted = read.LETHE_CLICKHOUSE_URL.startsWith('https:');
  if (authorityFile !== undefined && !isEncrypted) {
    const description = 'is of no use without an https URL';
    throw configInvalid('analytics', [{ field: 'LETHE_CLICKHOUSE_CA_FILE', description }]);
  }
  const password =
    passwordFile === undefined
      ? ''
      : readSettingFile('LETHE_CLICKHOUSE_PASSWORD_FILE', passwordFile);
  return Object.freeze({
    url: read.LETHE_CLICKHOUSE_URL,
    user: read.LETHE_CLICKHOUSE_USER,
    password: new Secret(password.trimEnd()),
    authorityPem:
      authorityFile === undefined
        ? undefined
        : readSettingFile('LETHE_CLICKHOUSE_CA_FILE', authorityFile),
    requestTimeoutMs: read.LETHE_CLICKHOUSE_TIMEOUT_MS,
  });
}

/** Connects at the first statement. Whoever opens it closes it. */
export function openClickHouse(config: ClickHouseConfig, connectionsMax: number): ClickHouseClient {
  const { url, user, password, authorityPem, requestTimeoutMs } = config;
  return createClient({
    url,
    username: user,
    password: password.reveal(),
    application: 'lethe-analytics',
    request_timeout: requestTimeoutMs,
    max_open_connections: connectionsMax,
    // Its own lines hold statements; what matters reaches our log through the errors.
    log: { level: ClickHouseLogLevel.OFF },
    compression: { request: true, response: true },
    ...(authorityPem === undefined ? {} : { tls: { ca_cert: Buffer.from(authorityPem) } }),
    clickhouse_settings: {
      // An insert is answered once it is stored, not once it is received.
      async_insert: 0,
      wait_end_of_query: 1,
    },
  });
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, username, password } = new URL(text);
  if (pathname !== '/' || search + username + password !== '') return false;
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname === '127.0.0.1';
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}
