import { randomBytes } from 'node:crypto';
import type { ClickHouseClient } from '@clickhouse/client';
import {
  openClickHouse,
  parseClickHouseConfig,
} from '@lethe/analytics/ledger/clickhouse-config.ts';
import { openKms, parseServerKmsConfig, type ServerKms } from '@lethe/keys/kms/open-kms.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { createPostgresDatabases } from '@lethe/platform/database/postgres.ts';
import { parseAddress, postgresDefaults } from '@lethe/platform/database/postgres-config.ts';
import { openKafkaEventLog } from '@lethe/platform/event-log/kafka.ts';
import type { KafkaTopic, KafkaTopicSettings } from '@lethe/platform/event-log/kafka-topics.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';

/** The real systems that a measurement may need. */
export const systemKinds = ['kafka', 'postgres', 'clickHouse', 'vault'] as const;
export type SystemKind = (typeof systemKinds)[number];

/** Where the systems of one measurement are; goes from the process that owns them to the one that measures. */
export interface RealPlaces {
  readonly kafka?: { readonly address: string; readonly pid: number };
  readonly postgres?: { readonly url: string };
  readonly clickHouse?: {
    readonly url: string;
    readonly passwordFile: string;
    readonly pid: number | undefined;
  };
  readonly vault?: { readonly env: Readonly<Record<string, string>> };
}

const logger = createLogger({ service: 'bench', level: 'silent' });

function placed<Place>(place: Place | undefined, kind: SystemKind): Place {
  if (place === undefined) throw new RangeError(`the measurement does not list ${kind}`);
  return place;
}

/** One broker: nobody to replicate to, acknowledged by all there are. Otherwise as it is deployed. */
const topicSettings: KafkaTopicSettings = {
  replicationFactor: 1,
  minInsyncReplicas: 1,
  maxCompactionLagMs: 6 * 3_600_000,
  deleteRetentionMs: 24 * 3_600_000,
  messageBytesMax: 2 * 1024 * 1024,
};

export async function openRealLog(
  { kafka }: RealPlaces,
  topics: readonly KafkaTopic[],
): Promise<EventLog> {
  return await openKafkaEventLog({
    settings: { brokers: [placed(kafka, 'kafka').address], clientId: 'bench' },
    ensure: { mode: 'create', topicSettings },
    topics,
    clock: systemClock,
    randomBytes,
    logger,
  });
}

/** With time-outs for a machine that others use too. */
export function openRealDatabases({ postgres }: RealPlaces): Databases {
  const address = parseAddress(placed(postgres, 'postgres').url);
  if (address === undefined) throw new RangeError('a local server has an address');
  const patience = { connectTimeoutMs: 60_000, statementTimeoutMs: 120_000 };
  return createPostgresDatabases({
    ...postgresDefaults,
    ...patience,
    address,
    lockAddress: undefined,
    tls: { mode: 'off' },
  });
}

/** The front over the engine runs one statement at a time. */
export function openRealClickHouse({ clickHouse }: RealPlaces): ClickHouseClient {
  const { url, passwordFile } = placed(clickHouse, 'clickHouse');
  const env = { LETHE_CLICKHOUSE_URL: url, LETHE_CLICKHOUSE_PASSWORD_FILE: passwordFile };
  return openClickHouse(parseClickHouseConfig(env), 2);
}

export async function openRealKms({ vault }: RealPlaces): Promise<ServerKms> {
  // As patient as with the database: a time-out would measure the machine.
  const env = { ...placed(vault, 'vault').env, LETHE_KEYS_VAULT_TIMEOUT_MS: '30000' };
  return await openKms(parseServerKmsConfig(env), { clock: systemClock, logger });
}
