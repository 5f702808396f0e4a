import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPgliteDatabases } from '@lethe/platform/database/pglite.ts';
import { eventIdNamed, recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { openKafkaEventLog, type KafkaEventLogOptions } from '@lethe/platform/event-log/kafka.ts';
import { kafkaAcls } from '@lethe/platform/event-log/kafka-acls.ts';
import type { KafkaSettings } from '@lethe/platform/event-log/kafka-settings.ts';
import type { EventLog, LogReader } from '@lethe/platform/event-log/port.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTestPglite } from '@lethe/platform/testing/test-database.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { AnalyticsServiceService } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { type Topic, topicNamed, topics } from '@lethe/proto/topics.ts';
import { newEvent, opened } from '@lethe/tickets/testing/sample-events.ts';
import { type LocalBroker, startLocalBroker } from '../../deploy/local/kafka.ts';
import { aclEntries } from '@lethe/platform/event-log/kafka-acl-entries.ts';
import { startComposedSystem } from '../races/composed-system.ts';
import { openByPrincipal } from './kafka-by-principal.ts';
import { bareClient, quickTopics, requireKafka } from './kafka-subject.ts';

const createTopics = fileURLToPath(new URL('../../deploy/kafka/create-topics.ts', import.meta.url));

/** Those of the manifest, somebody whom the broker knows and nothing is granted to, and who creates the topics. */
const users = [...serviceNames, 'lethe-admin', 'stranger'] as const;
type User = (typeof users)[number];

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

describe('Kafka over TLS with SASL and the ACLs of the manifest', function () {
  this.timeout(180_000);
  const openLogs: EventLog[] = [];
  let folder: string;
  let broker: LocalBroker;
  let address: string;
  before(async function () {
    if (!requireKafka()) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'lethe-kafka-security-'));
    writeFileSync(join(folder, 'extra'), properties + makeCertificates(folder));
    for (const user of users) writeFileSync(join(folder, user), `${passwordOf(user)}\n`);
    const scram = users.map(
      (user) => `--add-scram SCRAM-SHA-512=[name=${user},password=${passwordOf(user)}]`,
    );
    broker = await startLocalBroker(join(folder, 'extra'), scram.join(' '));
    console.log(`    Apache Kafka ${broker.version}`);
    const port = Number(broker.address.split(':')[1]);
    address = `127.0.0.1:${port + 2}`;
    const admin = bareClient(broker.address).admin();
    await admin.connect();
    await admin.createAcls({ acl: kafkaAcls(topics).flatMap(aclEntries) });
    await admin.disconnect();
    const created = createTopicsAs('lethe-admin');
    assert.equal(created.status, 0, created.stderr);
    assert.match(created.stdout, /tickets\.v1 \(6\).*privacy\.v1 \(1\)/);
  });
  afterEach(async () => {
    for (const log of openLogs.splice(0)) await log.close();
  });
  after(async () => {
    await broker?.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  /** Runs the administrator's command. */
  const createTopicsAs = (user: User, password: User = user) =>
    spawnSync(process.execPath, [createTopics], {
      encoding: 'utf8',
      env: {
        LETHE_KAFKA_BROKERS: address,
        LETHE_KAFKA_CA_FILE: join(folder, 'ca.pem'),
        LETHE_KAFKA_SASL: 'scram-sha-512',
        LETHE_KAFKA_USERNAME: user,
        LETHE_KAFKA_PASSWORD_FILE: join(folder, password),
        LETHE_KAFKA_REPLICATION_FACTOR: String(quickTopics.replicationFactor),
        LETHE_KAFKA_MIN_INSYNC_REPLICAS: String(quickTopics.minInsyncReplicas),
        LETHE_KAFKA_MAX_COMPACTION_LAG_MS: String(quickTopics.maxCompactionLagMs),
        LETHE_KAFKA_DELETE_RETENTION_MS: String(quickTopics.deleteRetentionMs),
      },
    });
  const settingsOf = (user: User): KafkaSettings => ({
    brokers: [address],
    clientId: user,
    tls: { authorityFile: join(folder, 'ca.pem') },
    sasl: { mechanism: 'scram-sha-512', username: user, passwordFile: join(folder, user) },
  });
  const openWith = async (
    settings: KafkaSettings,
    known: readonly Topic[] = topics,
    ensure?: KafkaEventLogOptions['ensure'],
  ): Promise<EventLog> => {
    const log = await openKafkaEventLog({
      settings,
      topics: known,
      ...(ensure === undefined ? {} : { ensure }),
      clock: systemClock,
      randomBytes,
      logger: createLogger({ service: 'contract', level: 'silent' }),
      timeouts: { openMs: 10_000, fetchWaitMs: 50 },
    });
    openLogs.push(log);
    return log;
  };
  const openAs = (
    user: User,
    known: readonly Topic[] = topics,
    ensure?: KafkaEventLogOptions['ensure'],
  ): Promise<EventLog> => openWith(settingsOf(user), known, ensure);
  const readerOf = (log: EventLog, group: string, name: string) =>
    log.openReader({ group, topics: [name], startAt: async (mine) => mine.map(() => 0n) });
  const refusalOf = async (work: Promise<unknown>): Promise<ServiceError> => {
    try {
      await work;
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error));
      return error;
    }
    throw new assert.AssertionError({ message: 'it was allowed' });
  };
  const isRefused = async (what: string, right: RegExp, work: Promise<unknown>): Promise<void> => {
    const refusal = await refusalOf(work);
    assert.equal(refusal.reason, 'LOG_ACCESS_DENIED', `${what}: ${refusal.message}`);
    assert.match(refusal.message, right, what);
  };

  // First, as the tests below write records that no service can read.
  it('lets the six services work together: a ticket is counted, and its person erased', async () => {
    const check = { mode: 'check', topicSettings: quickTopics } as const;
    const log = await openByPrincipal((service, known) => openAs(service, known, check));
    const databases = createPgliteDatabases(await openTestPglite());
    const system = await startComposedSystem('kafka-acls', databases, (unused) => ({
      ...log,
      close: async () => {
        await log.close();
        await unused.close();
      },
    }));
    try {
      const tenantId = 'acl-tenant' as TenantId;
      const settings = { region: 'test', retentionDays: 400 };
      const tenant = RegisterTenantRequest.fromPartial({ tenantId, settings });
      await system.call('privacy', PrivacyServiceService.registerTenant, tenant);
      const events = [newEvent('T-1', 'first', 0, opened('somebody'))];
      const append = TicketServiceService.appendTicketEvents;
      const { results } = await system.call('tickets', append, { events }, tenantId);
      assert.equal(results[0]?.outcome, AppendOutcome.APPEND_OUTCOME_ACCEPTED);
      const { getPlatformTotals } = AnalyticsServiceService;
      await until(async () => {
        const { totals } = await system.call('analytics', getPlatformTotals, {});
        return totals.some(({ exact }) => exact === 1n);
      }, 120_000);
      const request = RequestErasureRequest.fromPartial({
        person: { $case: 'personId', value: 'somebody' },
        ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
      });
      const { requestErasure, getErasure } = PrivacyServiceService;
      const { erasure } = await system.call('privacy', requestErasure, request, tenantId);
      const erasureId = erasure?.erasureId ?? '';
      await until(async () => {
        const now = await system.call('privacy', getErasure, { erasureId }, tenantId);
        return now.erasure?.state === ErasureState.ERASURE_STATE_COMPLETED;
      }, 120_000);
      for (const [name, service] of system.services) {
        assert.equal(service.problem(), undefined, name);
      }
    } finally {
      await system.stop();
      await databases.close();
    }
  });

  for (const service of serviceNames) {
    const owned: readonly Topic[] = topics.filter(({ owner }) => owner === service);
    const read: readonly Topic[] = topics.filter((topic: Topic) =>
      topic.consumers.includes(service),
    );
    it(`lets ${service} do its work: ${workOf(owned, read)}`, async () => {
      const ensure = { mode: 'check', topicSettings: quickTopics } as const;
      const log = await openAs(service, [...owned, ...read], ensure);
      for (const { name } of owned) {
        const writer = await log.openWriter({ topic: name, partition: 0 });
        await writer.append(writer.lastSequence + 1n, [recordNamed(`by-${service}`)]);
      }
      for (const { name, owner } of read) {
        await writeAs(await openAs(owner), name, `for-${service}`);
        await seesIn(await readerOf(log, service, name), `for-${service}`);
        await seesIn(await readerOf(log, `${service}-purpose`, name), `for-${service}`);
      }
    });

    it(`refuses ${service} everything else, by name of the right`, async () => {
      const log = await openAs(service);
      for (const { name } of topics.filter((topic) => !owned.includes(topic))) {
        const writing = log.openWriter({ topic: name, partition: 0 });
        await isRefused(`writing ${name}`, /TRANSACTIONAL_ID_AUTHORIZATION_FAILED/, writing);
      }
      for (const { name } of topics.filter((topic) => !owned.concat(read).includes(topic))) {
        const right = /TOPIC_AUTHORIZATION_FAILED/;
        await isRefused(`reading ${name}`, right, readerOf(log, service, name));
        await isRefused(`asking for ${name}`, right, log.endOffsets(name));
      }
      const { name = '' } = [...read, ...owned][0] ?? {};
      for (const group of serviceNames.filter((other) => other !== service)) {
        const joining = readerOf(log, group, name);
        await isRefused(`joining ${group}`, /GROUP_AUTHORIZATION_FAILED/, joining);
      }
    });
  }

  it('refuses whom nothing is granted to, and lets no service create a topic', async () => {
    const stranger = await openAs('stranger');
    for (const { name } of topics) {
      await isRefused(
        name,
        /AUTHORIZATION_FAILED/,
        stranger.openWriter({ topic: name, partition: 0 }),
      );
      await isRefused(name, /TOPIC_AUTHORIZATION_FAILED/, readerOf(stranger, 'stranger', name));
    }
    const further: Topic = { ...topicNamed('tickets.v1'), name: 'further.v1' };
    const create = { mode: 'create', topicSettings: quickTopics } as const;
    const creating = openAs('tickets', [further], create);
    await isRefused('creating', /TOPIC_AUTHORIZATION_FAILED/, creating);
  });

  it('has a command for the administrator, which says what refuses it', () => {
    assert.equal(createTopicsAs('lethe-admin').status, 0, 'again');
    const asStranger = createTopicsAs('stranger');
    assert.equal(asStranger.status, 1);
    assert.match(asStranger.stderr, /^LOG_ACCESS_DENIED: .*AUTHORIZATION_FAILED/m);
    assert.match(createTopicsAs('lethe-admin', 'stranger').stderr, /^LOG_ACCESS_DENIED/m);
    const withoutBroker = spawnSync(process.execPath, [createTopics], {
      encoding: 'utf8',
      env: {},
    });
    assert.equal(withoutBroker.status, 2);
    assert.match(withoutBroker.stderr, /^CONFIG_INVALID: .*LETHE_KAFKA_BROKERS/m);
  });

  it('refuses a wrong password, and a broker that the authority did not sign', async () => {
    writeFileSync(join(folder, 'wrong'), 'wrong-password');
    const { tls: _, ...untrusted } = settingsOf('tickets');
    const sasl = {
      mechanism: 'scram-sha-512',
      username: 'tickets',
      passwordFile: join(folder, 'wrong'),
    } as const;
    const wrong = await openWith({ ...settingsOf('tickets'), sasl });
    assert.equal((await refusalOf(wrong.endOffsets('tickets.v1'))).reason, 'LOG_ACCESS_DENIED');
    const foreign = await openWith({ ...untrusted, tls: {} });
    assert.equal((await refusalOf(foreign.endOffsets('tickets.v1'))).reason, 'STORE_UNAVAILABLE');
  });
});

function passwordOf(user: User): string {
  return `${user}-password`;
}

function workOf(owned: readonly Topic[], read: readonly Topic[]): string {
  const names = (list: readonly Topic[]) => list.map(({ name }) => name).join(', ') || 'nothing';
  return `it writes ${names(owned)} and reads ${names(read)}`;
}

async function writeAs(log: EventLog, topic: string, record: string): Promise<void> {
  const writer = await log.openWriter({ topic, partition: 0 });
  await writer.append(writer.lastSequence + 1n, [recordNamed(record)]);
  await writer.close();
}

/** Until the record was handed out; the test's own bound ends it otherwise. */
async function seesIn(reader: LogReader, record: string): Promise<void> {
  const eventId = eventIdNamed(record);
  for (;;) {
    const batches = await reader.poll({ recordsMax: 100, waitMs: 500 });
    const entries = batches.flatMap((batch) => batch.entries);
    if (entries.some((entry) => entry.kind === 'record' && eventId.equals(entry.eventId))) break;
  }
  await reader.close();
}
