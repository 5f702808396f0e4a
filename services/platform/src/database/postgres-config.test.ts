import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { parsePostgresConfig } from './postgres-config.ts';
import { postgresError } from './postgres-pool.ts';

const local = {
  LETHE_POSTGRES_URL: 'postgres://tickets:s3cret@127.0.0.1:5433/lethe',
  LETHE_POSTGRES_TLS: 'off',
};

describe('PostgreSQL settings', () => {
  it('have defaults, the schema being the name of the service', () => {
    const config = parsePostgresConfig('tickets', local);
    assert.deepEqual(
      { ...config.address, password: config.address.password?.reveal() },
      {
        host: '127.0.0.1',
        port: 5433,
        database: 'lethe',
        user: 'tickets',
        password: 's3cret',
      },
    );
    assert.doesNotMatch(inspect(config, { depth: 9 }) + JSON.stringify(config), /s3cret/);
    assert.equal(config.schemaName, 'tickets');
    assert.equal(config.lockAddress, undefined);
    assert.deepEqual(config.tls, { mode: 'off' });
  });

  it('ask for TLS unless told otherwise, and refuse clear text to another machine', () => {
    const remote = { LETHE_POSTGRES_URL: 'postgres://tickets@db.example/lethe' };
    assert.deepEqual(parsePostgresConfig('tickets', remote).tls, { mode: 'verify' });
    const clear = { ...remote, LETHE_POSTGRES_TLS: 'off' };
    assert.throws(() => parsePostgresConfig('tickets', clear), { reason: 'CONFIG_INVALID' });
    const pooled = { ...local, LETHE_POSTGRES_LOCK_URL: 'postgres://tickets@db.example/lethe' };
    assert.throws(() => parsePostgresConfig('tickets', pooled), { reason: 'CONFIG_INVALID' });
  });

  it('name every broken variable and no value', () => {
    const broken = {
      LETHE_POSTGRES_URL: 'postgres://tickets:s3cret@db.example/lethe?sslmode=disable',
      LETHE_POSTGRES_CONNECTIONS: 'many',
    };
    assert.throws(
      () => parsePostgresConfig('tickets', broken),
      (error: Error) =>
        /LETHE_POSTGRES_URL.*LETHE_POSTGRES_CONNECTIONS/.test(error.message) &&
        !/s3cret|many/.test(error.message),
    );
  });

  it('want a certificate with its private key, and files that are there', () => {
    const remote = { LETHE_POSTGRES_URL: 'postgres://tickets@db.example/lethe' };
    for (const file of ['LETHE_POSTGRES_CERTIFICATE_FILE', 'LETHE_POSTGRES_PRIVATE_KEY_FILE']) {
      const one = { ...remote, [file]: import.meta.filename };
      assert.throws(() => parsePostgresConfig('tickets', one), { reason: 'CONFIG_INVALID' });
    }
    const none = { ...remote, LETHE_POSTGRES_CA_FILE: '/does/not/exist' };
    assert.throws(() => parsePostgresConfig('tickets', none), { message: /POSTGRES_CA_FILE/ });
  });
});

describe('errors of the PostgreSQL driver', () => {
  const withCode = (code: string, message = 'failed') =>
    Object.assign(new Error(message), { code });

  it('are STORE_UNAVAILABLE when a retry may help', () => {
    const lost = ['ECONNREFUSED', 'EPIPE', '57P01', '40P01', '55P03', '25P03', '08006'];
    const errors = [
      ...lost.map((code) => withCode(code)),
      new Error('Connection terminated unexpectedly'),
      new Error('timeout exceeded when trying to connect'),
      new Error('Query read timeout'),
    ];
    for (const error of errors) {
      assert.equal(Reflect.get(Object(postgresError(error)), 'reason'), 'STORE_UNAVAILABLE');
    }
  });

  it('are STORE_ACCESS_DENIED when TLS does not come about', () => {
    const refused = new Error('The server does not support SSL connections');
    for (const error of [withCode('SELF_SIGNED_CERT_IN_CHAIN'), refused]) {
      assert.equal(Reflect.get(Object(postgresError(error)), 'reason'), 'STORE_ACCESS_DENIED');
    }
  });

  it('keep the values of the statement to themselves', () => {
    const detail = Object.assign(withCode('23505', 'duplicate Anna'), { detail: 'Key (x)=(Anna)' });
    const clean = postgresError(detail);
    assert.ok(clean instanceof Error && clean.name === 'DatabaseError');
    assert.doesNotMatch(JSON.stringify(clean, Object.getOwnPropertyNames(clean)), /Anna/);
  });
});
