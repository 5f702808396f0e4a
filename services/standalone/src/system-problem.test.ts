import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseClickHouseConfig } from '@lethe/analytics/ledger/clickhouse-config.ts';
import { DatabaseError } from '@lethe/platform/database/database-error.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { explained, type SystemName } from './system-problem.ts';
import { openLedger } from './systems.ts';

const said = async (system: SystemName, error: unknown): Promise<string> => {
  try {
    await explained(system, 'somewhere', async () => await Promise.reject(error));
  } catch (explanation) {
    assert.ok(explanation instanceof ServiceError, String(explanation));
    assert.equal(explanation.reason, 'SYSTEM_UNUSABLE');
    return explanation.message;
  }
  throw new assert.AssertionError({ message: 'it was opened' });
};

describe('a system that cannot be used', () => {
  it('is named by its flag, with what to do', async () => {
    const away = new ServiceError('STORE_UNAVAILABLE', 'creating or checking topics: ECONNREFUSED');
    assert.match(await said('kafka', away), /^--kafka somewhere: no Kafka broker.*ECONNREFUSED\)/);
    const refused = new ServiceError('LOG_ACCESS_DENIED', 'TOPIC_AUTHORIZATION_FAILED');
    assert.match(await said('kafka', refused), /LETHE_KAFKA_USERNAME.*grant the principal/);
    const few = new ServiceError('STORE_UNAVAILABLE', 'Replication-factor is invalid');
    assert.match(await said('kafka', few), /too few brokers.*LETHE_KAFKA_REPLICATION_FACTOR/);
    const old = new ServiceError('CONFIG_INVALID', 'PostgreSQL is older than 15: upgrade it');
    assert.match(await said('postgres', old), /^--postgres somewhere: .*older than 15: upgrade/);
    const sealed = new ServiceError('KMS_SEALED', 'Vault is sealed: unseal it.');
    assert.match(await said('kms', sealed), /^--vault somewhere: Vault is sealed: unseal it\./);
  });

  it('says what PostgreSQL refuses, wherever its answer lies among the causes', async () => {
    const answer = (state: string) => new DatabaseError(state, `refused (SQLSTATE ${state})`);
    assert.match(await said('postgres', answer('28P01')), /LETHE_POSTGRES_PASSWORD_FILE/);
    assert.match(await said('postgres', answer('3D000')), /createdb/);
    assert.match(await said('postgres', answer('42501')), /GRANT CREATE ON DATABASE/);
    const full = new ServiceError('STORE_UNAVAILABLE', 'refused', { cause: answer('53300') });
    assert.match(await said('postgres', full), /max_connections/);
    const denied = new ServiceError('STORE_ACCESS_DENIED', 'refused', { cause: answer('28P01') });
    assert.match(await said('postgres', denied), /LETHE_POSTGRES_PASSWORD_FILE/);
    const nameless = new ServiceError('STORE_ACCESS_DENIED', 'see LETHE_POSTGRES_CA_FILE');
    assert.match(await said('postgres', nameless), /somewhere: see LETHE_POSTGRES_CA_FILE\./);
  });

  it('is not taken for one that is away when its certificate is of a stranger', async () => {
    const coded = (code: string) => Object.assign(new Error('not taken'), { code });
    const stranger = await said('clickhouse', coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'));
    assert.match(stranger, /LETHE_CLICKHOUSE_CA_FILE/);
    assert.match(await said('clickhouse', coded('ECONNREFUSED')), /no ClickHouse server answers/);
  });

  it('is no excuse for a defect: that passes as it is', async () => {
    const defect = new RangeError('off by one');
    const opening = explained('kafka', 'somewhere', async () => await Promise.reject(defect));
    await assert.rejects(opening, defect);
  });

  describe('as a ClickHouse server', () => {
    let server: Server;
    let version: string;
    before(async () => {
      server = createServer((_, response) => response.end(`{"v":"${version}"}\n`));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    after(() => server.close());
    const open = async (answered: string) => {
      version = answered;
      const { port } = server.address() as AddressInfo;
      const url = `http://127.0.0.1:${port}`;
      const closings: (() => Promise<void>)[] = [];
      const config = parseClickHouseConfig({ LETHE_CLICKHOUSE_URL: url });
      try {
        await openLedger(config, 1, { push: (close) => closings.push(close) });
      } finally {
        for (const close of closings) await close();
      }
    };

    it('must not be older than what the client is made for', async () => {
      const reason = {
        reason: 'SYSTEM_UNUSABLE',
        message: /it is ClickHouse 24\.7\.3\.1: upgrade/,
      };
      await assert.rejects(open('24.7.3.1'), reason);
      await open('24.8.1.2');
      await open('26.1.1');
      await assert.rejects(open('something else'), { message: /it is no ClickHouse/ });
    });
  });
});
