import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { placesOf } from './system-places.ts';
import { parseRealSystems } from './systems-config.ts';

const vault = {
  LETHE_KEYS_KMS: 'vault',
  LETHE_KEYS_VAULT_ADDRESS: 'https://vault:8200',
  LETHE_KEYS_VAULT_AUTH: 'token-file',
  LETHE_KEYS_VAULT_TOKEN_FILE: '/run/token',
};

const brokenIn = (env: Record<string, string>): string[] => {
  try {
    parseRealSystems(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
    return error.violations.map(({ field }) => field).toSorted();
  }
};

describe('the real systems of standalone', () => {
  it('are none unless an address is set', () => {
    const none = { kafka: undefined, postgres: undefined, kms: undefined, clickHouse: undefined };
    assert.deepEqual(parseRealSystems({}), none);
    assert.deepEqual(parseRealSystems({ LETHE_KAFKA_BROKERS: '', LETHE_KAFKA_TLS: 'off' }), none);
    assert.deepEqual(placesOf(parseRealSystems({})), {});
  });

  it('may be any of them, and are shown without who logs in', () => {
    const systems = parseRealSystems({
      ...vault,
      LETHE_KAFKA_BROKERS: 'k1:9093,k2:9093',
      LETHE_POSTGRES_URL: 'postgresql://someone:secret-word@db/lethe',
      LETHE_CLICKHOUSE_URL: 'https://ch:8443',
    });
    assert.deepEqual(placesOf(systems), {
      log: 'Kafka k1:9093,k2:9093',
      database: 'PostgreSQL db:5432/lethe',
      keys: 'Vault https://vault:8200',
      ledger: 'ClickHouse https://ch:8443',
    });
    assert.deepEqual(placesOf(parseRealSystems(vault)), { keys: 'Vault https://vault:8200' });
  });

  it('are spoken to in plaintext on this machine alone, and there unless an authority is named', () => {
    const kafka = (env: Record<string, string>) => parseRealSystems(env).kafka;
    const postgres = (env: Record<string, string>) => parseRealSystems(env).postgres;
    const local = { LETHE_KAFKA_BROKERS: 'localhost:9092' };
    assert.equal(kafka(local)?.settings.tls, undefined);
    assert.deepEqual(kafka({ ...local, LETHE_KAFKA_TLS: 'verify' })?.settings.tls, {});
    const mixed = { LETHE_KAFKA_BROKERS: 'localhost:9092,k2:9092' };
    assert.deepEqual(kafka(mixed)?.settings.tls, {});
    assert.deepEqual(brokenIn({ ...mixed, LETHE_KAFKA_TLS: 'off' }), ['LETHE_KAFKA_TLS']);
    const home = { LETHE_POSTGRES_URL: 'postgres://me@127.0.0.1/db' };
    assert.deepEqual(postgres(home)?.tls, { mode: 'off' });
    assert.deepEqual(postgres({ ...home, LETHE_POSTGRES_TLS: 'verify' })?.tls, { mode: 'verify' });
    const away = { LETHE_POSTGRES_URL: 'postgres://me@db/db' };
    assert.deepEqual(postgres(away)?.tls, { mode: 'verify' });
    assert.deepEqual(brokenIn({ ...away, LETHE_POSTGRES_TLS: 'off' }), ['LETHE_POSTGRES_TLS']);
    assert.deepEqual(brokenIn({ LETHE_CLICKHOUSE_URL: 'http://ch:8123' }), [
      'LETHE_CLICKHOUSE_URL',
    ]);
  });

  it('replicate unless the only broker is on this machine', () => {
    const ensured = (env: Record<string, string>) => {
      const { ensure } = parseRealSystems(env).kafka ?? assert.fail();
      const { replicationFactor, minInsyncReplicas } = ensure.topicSettings;
      return [ensure.mode, replicationFactor, minInsyncReplicas];
    };
    assert.deepEqual(ensured({ LETHE_KAFKA_BROKERS: 'k1:9093' }), ['create', 3, 2]);
    const local = { LETHE_KAFKA_BROKERS: '127.0.0.1:9092' };
    assert.deepEqual(ensured(local), ['create', 1, 1]);
    const said = { ...local, LETHE_KAFKA_TOPICS: 'check', LETHE_KAFKA_REPLICATION_FACTOR: '2' };
    assert.deepEqual(ensured(said), ['check', 2, 1]);
  });

  it('names every broken setting of all of them at once', () => {
    const env = {
      LETHE_KAFKA_BROKERS: 'nowhere',
      LETHE_POSTGRES_URL: 'nowhere',
      LETHE_KEYS_KMS: 'vault',
      LETHE_KEYS_VAULT_ADDRESS: 'https://vault:8200',
      LETHE_CLICKHOUSE_URL: 'nowhere',
    };
    assert.deepEqual(brokenIn(env), [
      'LETHE_CLICKHOUSE_URL',
      'LETHE_KAFKA_BROKERS',
      'LETHE_KEYS_VAULT_AUTH',
      'LETHE_POSTGRES_URL',
    ]);
  });
});
