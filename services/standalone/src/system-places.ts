import type { ClickHouseConfig } from '@lethe/analytics/ledger/clickhouse-config.ts';
import type { ServerKmsConfig } from '@lethe/keys/kms/open-kms.ts';
import type { PostgresConfig } from '@lethe/platform/database/postgres-config.ts';
import type { KafkaConfig } from '@lethe/platform/event-log/kafka-config.ts';
import type { RealSystems } from './systems-config.ts';

/** The four stores of a server. */
export const storeNames = ['log', 'database', 'keys', 'ledger'] as const;
export type StoreName = (typeof storeNames)[number];

/** Where each store lies that is not in the data folder: an address, and nothing that logs in. */
export type Places = Readonly<Partial<Record<StoreName, string>>>;

export function placesOf({ kafka, postgres, kms, clickHouse }: RealSystems): Places {
  return {
    ...(kafka === undefined ? {} : { log: `Kafka ${placeOfKafka(kafka.settings)}` }),
    ...(postgres === undefined ? {} : { database: `PostgreSQL ${placeOfPostgres(postgres)}` }),
    ...(kms === undefined
      ? {}
      : { keys: `${kms.kind === 'vault' ? 'Vault' : 'AWS KMS'} ${placeOfKms(kms)}` }),
    ...(clickHouse === undefined ? {} : { ledger: `ClickHouse ${placeOfClickHouse(clickHouse)}` }),
  };
}

export function placeOfKafka({ brokers }: KafkaConfig['settings']): string {
  return brokers.join(',');
}

export function placeOfPostgres({ address }: PostgresConfig): string {
  return `${address.host}:${address.port}/${address.database}`;
}

export function placeOfKms(config: ServerKmsConfig): string {
  return config.kind === 'vault' ? config.vault.address : config.aws.region;
}

export function placeOfClickHouse({ url }: ClickHouseConfig): string {
  return new URL(url).origin;
}
