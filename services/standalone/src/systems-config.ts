import {
  type ClickHouseConfig,
  parseClickHouseConfig,
} from '@lethe/analytics/ledger/clickhouse-config.ts';
import { parseKmsConfig } from '@lethe/keys/kms/kms-config.ts';
import type { ServerKmsConfig } from '@lethe/keys/kms/open-kms.ts';
import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import {
  parseAddress,
  type PostgresConfig,
  parsePostgresConfig,
} from '@lethe/platform/database/postgres-config.ts';
import { type KafkaConfig, parseKafkaConfig } from '@lethe/platform/event-log/kafka-config.ts';

/** Real systems in the places of the embedded stores; undefined: the embedded one. */
export interface RealSystems {
  readonly kafka: KafkaConfig | undefined;
  readonly postgres: PostgresConfig | undefined;
  readonly kms: ServerKmsConfig | undefined;
  readonly clickHouse: ClickHouseConfig | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The real systems that the environment names, by the variables of the services' own processes. A store is embedded
 * unless its address is set. Reads the files that are named, connects to nothing. Throws CONFIG_INVALID with every
 * broken setting.
 */
export function parseRealSystems(given: Environment): RealSystems {
  const env = withoutEmpty(given);
  return parseTogether('standalone', {
    kafka: () =>
      env['LETHE_KAFKA_BROKERS'] === undefined
        ? undefined
        : parseKafkaConfig('standalone', { ...kafkaDefaults(env), ...env }),
    postgres: () =>
      env['LETHE_POSTGRES_URL'] === undefined
        ? undefined
        : parsePostgresConfig('standalone', { ...postgresDefaults(env), ...env }),
    kms: () => {
      const config = parseKmsConfig(env);
      return config.kind === 'keyring' ? undefined : config;
    },
    clickHouse: () =>
      env['LETHE_CLICKHOUSE_URL'] === undefined ? undefined : parseClickHouseConfig(env),
  });
}

/** A variable that is set to nothing, as charts do it, is not set. */
function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
}

const loopbackBroker = /^(localhost|127(\.\d+){3}|\[::1\]):\d+$/;
const loopbackHost = /^(localhost|127(\.\d+){3}|::1)$/;

/**
 * One process makes its topics, as it makes its files. A broker on this machine is one for trying: plaintext, unless an
 * authority for its certificate is named, and alone, so that there is nobody to replicate to.
 */
function kafkaDefaults(env: Environment): Environment {
  const topics = { LETHE_KAFKA_TOPICS: 'create' };
  const brokers = env['LETHE_KAFKA_BROKERS']?.split(',') ?? [];
  if (!brokers.every((broker) => loopbackBroker.test(broker))) return topics;
  return {
    ...topics,
    ...(env['LETHE_KAFKA_CA_FILE'] === undefined ? { LETHE_KAFKA_TLS: 'off' } : {}),
    LETHE_KAFKA_REPLICATION_FACTOR: '1',
    LETHE_KAFKA_MIN_INSYNC_REPLICAS: '1',
  };
}

/** Six schemas of one process are six pools: a server takes 100 connections unless told otherwise. */
function postgresDefaults(env: Environment): Environment {
  const connections = { LETHE_POSTGRES_CONNECTIONS: '5' };
  const host = parseAddress(env['LETHE_POSTGRES_URL'] ?? '')?.host ?? '';
  const isPlain = loopbackHost.test(host) && env['LETHE_POSTGRES_CA_FILE'] === undefined;
  return isPlain ? { ...connections, LETHE_POSTGRES_TLS: 'off' } : connections;
}
