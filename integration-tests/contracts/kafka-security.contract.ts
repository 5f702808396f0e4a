import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs, { type AclEntry } from 'kafkajs';
import { recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { openKafkaEventLog } from '@lethe/platform/event-log/kafka.ts';
import type { KafkaSettings } from '@lethe/platform/event-log/kafka-settings.ts';
import { ensureKafkaTopics } from '@lethe/platform/event-log/kafka-topics.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { type LocalBroker, startLocalBroker } from '../../deploy/local/kafka.ts';
import { bareClient, freshTopic, linesOn, quickTopics, requireKafka } from './kafka-subject.ts';

const passwords = {
  owner: 'owner-password',
  reader: 'reader-password',
  stranger: 'stranger-password',
};

/** What the broker needs beside its plaintext listener, which the tests administrate it by. */
const properties = `
listeners=SASL_SSL://127.0.0.1:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
advertised.listeners=SASL_SSL://127.0.0.1:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@
listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.client.auth=none
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
`;

/** A throw-away authority and a certificate for loopback; answers the properties that name them. */
function makeCertificates(folder: string): string {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  openssl(
    'req',
    ...newKey,
    '-subj',
    '/CN=localhost',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
  );
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signing = [
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names',
  ];
  openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.crt');
  const store = ['server.key', 'server.crt', 'ca.pem'].map((file) =>
    readFileSync(join(folder, file), 'utf8'),
  );
  writeFileSync(join(folder, 'server.pem'), store.join(''));
  return `ssl.keystore.location=${join(folder, 'server.pem')}\n`;
}

describe('Kafka over TLS with SASL and ACLs', function () {
  this.timeout(120_000);
  const topic = freshTopic('secured', 2);
  const other = freshTopic('others', 1);
  const opened: EventLog[] = [];
  let folder: string;
  let broker: LocalBroker;
  let address: string;
  before(async function () {
    if (!requireKafka()) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'lethe-kafka-security-'));
    writeFileSync(join(folder, 'extra'), properties + makeCertificates(folder));
    for (const [user, password] of Object.entries(passwords))
      writeFileSync(join(folder, user), `${password}\n`);
    const users = Object.entries(passwords).map(
      ([user, password]) => `--add-scram SCRAM-SHA-512=[name=${user},password=${password}]`,
    );
    broker = await startLocalBroker(join(folder, 'extra'), users.join(' '));
    console.log(`    Apache Kafka ${broker.version}`);
    const port = Number(broker.address.split(':')[1]);
    address = `127.0.0.1:${port + 2}`;
    const kafka = bareClient(broker.address);
    await ensureKafkaTopics(kafka, [topic, other], quickTopics, 'create', systemClock);
    const admin = kafka.admin();
    await admin.connect();
    await admin.createAcls({ acl: aclsOf(topic.name) });
    await admin.disconnect();
  });
  afterEach(async () => {
    for (const log of opened.splice(0)) await log.close();
  });
  after(async () => {
    await broker?.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  const settingsOf = (user: keyof typeof passwords): KafkaSettings => ({
    brokers: [address],
    clientId: user,
    tls: { authorityFile: join(folder, 'ca.pem') },
    sasl: { mechanism: 'scram-sha-512', username: user, passwordFile: join(folder, user) },
  });
  const openWith = async (settings: KafkaSettings): Promise<EventLog> => {
    const log = await openKafkaEventLog({
      settings,
      topics: [topic, other],
      clock: systemClock,
      randomBytes,
      logger: createLogger({ service: 'contract', level: 'silent' }),
      timeouts: { openMs: 10_000 },
    });
    opened.push(log);
    return log;
  };
  const refusalOf = async (work: Promise<unknown>): Promise<ServiceError> => {
    try {
      await work;
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error));
      return error;
    }
    throw new assert.AssertionError({ message: 'it was allowed' });
  };
  const readerOf = (log: EventLog, group: string, name: string) =>
    log.openReader({ group, topics: [name], startAt: async (mine) => mine.map(() => 0n) });

  it('lets the owner write and the reader read, with the rights of the table alone', async () => {
    const owner = await openWith(settingsOf('owner'));
    const writer = await owner.openWriter({ topic: topic.name, partition: 0 });
    await writer.append(writer.lastSequence + 1n, [recordNamed('secured')]);
    const reader = await openWith(settingsOf('reader'));
    assert.deepEqual(await linesOn(reader, topic.name), ['1 secured']);
  });

  it("refuses another's topic, partition and group with a clear reason", async () => {
    const stranger = await openWith(settingsOf('stranger'));
    const reader = await openWith(settingsOf('reader'));
    const owner = await openWith(settingsOf('owner'));
    const first = { topic: topic.name, partition: 0 };
    const writing = [
      stranger.openWriter(first),
      reader.openWriter(first),
      owner.openWriter({ topic: other.name, partition: 0 }),
    ];
    for (const refusal of await Promise.all(writing.map(refusalOf))) {
      assert.match(refusal.message, /ACLs/);
    }
    const reading = [
      readerOf(stranger, 'not-its-own', topic.name),
      readerOf(stranger, 'lines-x', topic.name),
      stranger.endOffsets(topic.name),
    ];
    for (const refusal of await Promise.all(reading.map(refusalOf))) {
      assert.match(refusal.message, /AUTHORIZATION_FAILED/);
      assert.equal(refusal.reason, 'LOG_ACCESS_DENIED');
    }
  });

  it('refuses a wrong password, and a broker that the authority did not sign', async () => {
    writeFileSync(join(folder, 'wrong'), 'wrong-password');
    const { tls: _, ...untrusted } = settingsOf('owner');
    const sasl = {
      mechanism: 'scram-sha-512',
      username: 'owner',
      passwordFile: join(folder, 'wrong'),
    } as const;
    const wrong = await openWith({ ...settingsOf('owner'), sasl });
    assert.equal((await refusalOf(wrong.endOffsets(topic.name))).reason, 'LOG_ACCESS_DENIED');
    const foreign = await openWith({ ...untrusted, tls: {} });
    assert.equal((await refusalOf(foreign.endOffsets(topic.name))).reason, 'STORE_UNAVAILABLE');
  });
});

/** The table of docs/operators/kafka.md for one topic, its owner and one consumer. */
function aclsOf(topic: string): AclEntry[] {
  const { AclOperationTypes, AclResourceTypes, ResourcePatternTypes, AclPermissionTypes } = kafkajs;
  const allow = (
    user: string,
    resourceType: number,
    resourceName: string,
    isPrefix: boolean,
    operations: readonly number[],
  ): AclEntry[] =>
    operations.map((operation) => ({
      principal: `User:${user}`,
      host: '*',
      resourceType,
      resourceName,
      resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
      permissionType: AclPermissionTypes.ALLOW,
      operation,
    }));
  const { READ, WRITE, DESCRIBE } = AclOperationTypes;
  const { TOPIC, GROUP, TRANSACTIONAL_ID } = AclResourceTypes;
  return [
    ...allow('owner', TOPIC, topic, false, [READ, WRITE, DESCRIBE]),
    ...allow('owner', TRANSACTIONAL_ID, `lethe-${topic}-`, true, [WRITE, DESCRIBE]),
    ...allow('owner', GROUP, `lethe-tail-${topic}-`, true, [READ]),
    ...allow('reader', TOPIC, topic, false, [READ, DESCRIBE]),
    ...allow('reader', GROUP, 'lines-', true, [READ]),
    ...allow('stranger', GROUP, 'lines-', true, [READ]),
  ];
}
