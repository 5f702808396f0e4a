import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectionOf } from './kafka-settings.ts';

describe('Kafka settings', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-kafka-settings-'));
    for (const name of ['authority', 'certificate', 'private-key']) {
      writeFileSync(join(folder, name), `<${name}>`);
    }
    writeFileSync(join(folder, 'password'), 'secret\n');
  });
  after(() => rmSync(folder, { recursive: true }));
  const file = (name: string) => join(folder, name);
  const sasl = () =>
    ({ mechanism: 'scram-sha-512', username: 'tickets', passwordFile: file('password') }) as const;

  it('read certificates and the password from files', () => {
    const client = { certificateFile: file('certificate'), privateKeyFile: file('private-key') };
    const connection = connectionOf({
      brokers: ['kafka.example:9093'],
      clientId: 'tickets',
      tls: { authorityFile: file('authority'), client },
      sasl: sasl(),
    });
    assert.deepEqual(connection, {
      brokers: ['kafka.example:9093'],
      clientId: 'tickets',
      ssl: {
        rejectUnauthorized: true,
        ca: '<authority>',
        cert: '<certificate>',
        key: '<private-key>',
      },
      sasl: { mechanism: 'scram-sha-512', username: 'tickets', password: 'secret' },
    });
  });

  it('never send a password in the clear, but to loopback', () => {
    const settings = { clientId: 'tickets', sasl: sasl() };
    for (const brokers of [['kafka.example:9092'], ['127.0.0.1:9092', '127.0.0.1.example:9092']]) {
      assert.throws(() => connectionOf({ ...settings, brokers }), { reason: 'CONFIG_INVALID' });
    }
    connectionOf({ ...settings, brokers: ['127.0.0.1:9092', 'localhost:9093', '[::1]:9094'] });
  });

  it('need a broker, and name the file that cannot be read', () => {
    assert.throws(() => connectionOf({ brokers: [], clientId: 'x' }), { reason: 'CONFIG_INVALID' });
    const tls = { authorityFile: file('missing') };
    assert.throws(() => connectionOf({ brokers: ['kafka:9093'], clientId: 'x', tls }), {
      reason: 'CONFIG_INVALID',
      message: new RegExp(file('missing')),
    });
  });
});
