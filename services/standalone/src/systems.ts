import { randomBytes } from 'node:crypto';
import type { ClickHouseClient } from '@clickhouse/client';
import {
  type ClickHouseConfig,
  openClickHouse,
} from '@lethe/analytics/ledger/clickhouse-config.ts';
import { openKms, type ServerKms, type ServerKmsConfig } from '@lethe/keys/kms/open-kms.ts';
import { createVaultHttp } from '@lethe/keys/kms/vault-http.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { assertPostgresFits } from '@lethe/platform/database/postgres-check.ts';
import { createPostgresDatabases } from '@lethe/platform/database/postgres.ts';
import type { PostgresConfig } from '@lethe/platform/database/postgres-config.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { KafkaConfig } from '@lethe/platform/event-log/kafka-config.ts';
import { openKafkaEventLog } from '@lethe/platform/event-log/kafka.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger, type Logger } from '@lethe/platform/log/logger.ts';
import { becomeSoleInstance } from '@lethe/platform/process/sole-instance.ts';
import { topics } from '@lethe/proto/topics.ts';
import { explained, unusable } from './system-problem.ts';
import { placeOfClickHouse, placeOfKafka, placeOfKms, placeOfPostgres } from './system-places.ts';

/** What real systems need of the process. */
export interface SystemsRuntime {
  readonly logger: Logger;
  /** Called when the process cannot go on: another one may take over the database. */
  readonly onFatal: (error: unknown) => void;
}

/** Where a system's closing is noted, newest first. */
export interface Closings {
  push(close: () => Promise<void>): void;
}

/** Throws SYSTEM_UNUSABLE, as all below: what is wrong, of which flag, and what to do. */
export async function openKafka(
  { settings, ensure }: KafkaConfig,
  { logger }: SystemsRuntime,
  closings: Closings,
): Promise<EventLog> {
  const common = { settings, ensure, topics, clock: systemClock, randomBytes };
  // What the client says about each of its attempts says less than the error in the end.
  const quiet = createLogger({ service: 'standalone', level: 'silent' });
  await explained('kafka', placeOfKafka(settings), async () => {
    await (await openKafkaEventLog({ ...common, logger: quiet })).close();
  });
  const eventLog = await openKafkaEventLog({ ...common, logger });
  closings.push(async () => await eventLog.close());
  return eventLog;
}

const othersEndWithinMs = 10_000;

/**
 * A schema for each service, made when it is missing. One process alone works on them: keys of other processes would
 * not know what was leased here.
 */
export async function openDatabases(
  config: PostgresConfig,
  { onFatal }: SystemsRuntime,
  closings: Closings,
): Promise<Databases> {
  const databases = createPostgresDatabases(config);
  closings.push(async () => await databases.close());
  const place = placeOfPostgres(config);
  await explained('postgres', place, async () => {
    const db = databases.database<unknown>('keys');
    await assertPostgresFits(db);
    const waiting = AbortSignal.timeout(othersEndWithinMs);
    let isTaken = false;
    const sole = await becomeSoleInstance({
      db,
      clock: systemClock,
      signal: waiting,
      onWait: () => {
        isTaken = true;
      },
      onLost: (cause) => {
        const message =
          'PostgreSQL ended the connection that kept other processes off the database; start again, what was acknowledged is kept.';
        onFatal(new ServiceError('STORE_UNAVAILABLE', message, { cause }));
      },
    }).catch((error: unknown) => {
      if (!isTaken || !waiting.aborted) throw error;
      throw unusable(
        'postgres',
        place,
        'another process of Lethe works on it: stop that one',
        error,
      );
    });
    closings.push(async () => await sole.release());
  });
  return databases;
}

export async function openServerKms(
  config: ServerKmsConfig,
  { logger }: SystemsRuntime,
  closings: Closings,
): Promise<ServerKms> {
  const kms = await explained('kms', placeOfKms(config), async () => {
    if (config.kind === 'vault') await assertVaultAnswers(config.vault);
    return await openKms(config, { clock: systemClock, logger });
  });
  closings.push(async () => await kms.close());
  return kms;
}

/** The adapter bears a Vault that is away, as a service of its own must; who starts all by hand wants to hear of it. */
async function assertVaultAnswers({
  address,
  namespace,
  timeoutMs,
}: Extract<ServerKmsConfig, { kind: 'vault' }>['vault']): Promise<void> {
  const http = createVaultHttp({ address, namespace, timeoutMs, clock: systemClock });
  const { body } = await http.send({ method: 'GET', path: 'sys/seal-status' });
  const isSealed: unknown =
    typeof body === 'object' && body !== null ? Reflect.get(body, 'sealed') : undefined;
  if (isSealed === false) return;
  if (isSealed === true) throw new ServiceError('KMS_SEALED', 'it is sealed: unseal it');
  throw new ServiceError('KMS_MISCONFIGURED', 'what answers there is neither Vault nor OpenBao');
}

/** The oldest server that the client is made for. */
const oldestClickHouse = [24, 8] as const;

export async function openLedger(
  config: ClickHouseConfig,
  statementsMax: number,
  closings: Closings,
): Promise<ClickHouseClient> {
  const client = openClickHouse(config, statementsMax);
  closings.push(async () => await client.close());
  const place = placeOfClickHouse(config);
  await explained('clickhouse', place, async () => {
    const answer = await client.query({ query: 'SELECT version() AS v', format: 'JSONEachRow' });
    const [row] = await answer.json<{ v?: unknown }>();
    const version = typeof row?.v === 'string' ? row.v : '';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const [oldestMajor, oldestMinor] = oldestClickHouse;
    if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
    const found = /^[\d.]+$/.test(version) ? `ClickHouse ${version}` : 'no ClickHouse';
    const advice = `upgrade to ${oldestClickHouse.join('.')} or newer`;
    throw unusable('clickhouse', place, `it is ${found}: ${advice}`);
  });
  return client;
}
