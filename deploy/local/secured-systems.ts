import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { aclEntries } from '@lethe/platform/event-log/kafka-acl-entries.ts';
import { kafkaAcls } from '@lethe/platform/event-log/kafka-acls.ts';
import { createKafkaClient, defaultKafkaTimeouts } from '@lethe/platform/event-log/kafka-client.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { topics } from '@lethe/proto/topics.ts';
import { type LocalBroker, startLocalBroker } from './kafka.ts';
import { type LocalPostgres, startLocalPostgres } from './postgres.ts';
import { scramUsers, securedAddress, securedProperties } from './secured-kafka.ts';

/** Kafka and PostgreSQL that take services over TLS alone, each with a login of its own and no more rights than it needs. */
export interface SecuredSystems {
  startKafka(): Promise<LocalBroker>;
  startPostgres(): Promise<LocalPostgres>;
  /** Gives each service its rights and makes the topics, as an administrator does it. */
  grant(kafka: LocalBroker): Promise<void>;
  /** Statements that give the roles of the services their passwords. */
  readonly passwordSql: string;
  /** How a service reaches and logs in to both. */
  env(service: ServiceName, kafka: LocalBroker, postgres: LocalPostgres): Record<string, string>;
  /** Of a service, for either system. */
  passwordFile(service: ServiceName): string;
  remove(): void;
}

const run = promisify(execFile);
const admin = 'lethe-admin';
const createTopics = fileURLToPath(new URL('../kafka/create-topics.ts', import.meta.url));
/** One broker. */
const topicEnv = { LETHE_KAFKA_REPLICATION_FACTOR: '1', LETHE_KAFKA_MIN_INSYNC_REPLICAS: '1' };

/** A private authority for both servers, passwords that nobody else has; all of it in a folder of its own. */
export function secureSystems(): SecuredSystems {
  const secrets = writeSecrets();
  const { folder, write, authority, server, authorityFile, passwords, passwordFile } = secrets;
  return {
    startKafka: async () => {
      const { certificate, privateKey } = server;
      const store = write('kafka.pem', privateKey + certificate + authority.certificate);
      const extra = write('kafka', `${securedProperties}ssl.keystore.location=${store}\n`);
      return await startLocalBroker(extra, scramUsers(passwords));
    },
    startPostgres: async () => {
      // The superuser, by which the set-up is made, comes from loopback; a service comes over TLS or not at all.
      const rules =
        'host all lethe 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n';
      const settings = { hba_file: write('pg_hba.conf', rules, 0o644) };
      return await startLocalPostgres({ durable: true, tls: server, settings });
    },
    grant: async (kafka) => {
      await grantAcls(kafka.address);
      const env = { PATH: '/usr/bin:/bin', ...kafkaLogin(admin, kafka, secrets) };
      await createTopicsAs(env);
    },
    passwordSql: serviceNames
      .map((name) => `alter role ${name} password '${passwords.get(name) ?? ''}';`)
      .join(' '),
    env: (service, kafka, postgres) => ({
      ...kafkaLogin(service, kafka, secrets),
      LETHE_KAFKA_TOPICS: 'check',
      LETHE_POSTGRES_URL: `postgres://${service}@127.0.0.1:${postgres.port}/postgres`,
      LETHE_POSTGRES_TLS: 'verify',
      LETHE_POSTGRES_CA_FILE: authorityFile,
      LETHE_POSTGRES_PASSWORD_FILE: passwordFile(service),
    }),
    passwordFile,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

type Secrets = ReturnType<typeof writeSecrets>;

function writeSecrets() {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-secured-'));
  // The account of PostgreSQL reads its rules there; what is secret has rights of its own.
  chmodSync(folder, 0o755);
  const write = (name: string, text: string, mode = 0o600): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode });
    return file;
  };
  const authority = createCertificateAuthority('Lethe systems authority');
  const server = authority.issue({ dnsNames: ['localhost'], ips: ['127.0.0.1'] });
  const authorityFile = write('authority.pem', authority.certificate);
  mkdirSync(path.join(folder, 'passwords'), { mode: 0o700 });
  const passwords = new Map<string, string>(
    [...serviceNames, admin].map((name) => [name, randomBytes(18).toString('hex')]),
  );
  for (const [name, password] of passwords) write(`passwords/${name}`, `${password}\n`);
  const passwordFile = (name: string) => path.join(folder, 'passwords', name);
  return { folder, write, authority, server, authorityFile, passwords, passwordFile };
}

function kafkaLogin(name: string, { address }: LocalBroker, secrets: Secrets) {
  return {
    LETHE_KAFKA_BROKERS: securedAddress(address),
    LETHE_KAFKA_TLS: 'verify',
    LETHE_KAFKA_CA_FILE: secrets.authorityFile,
    LETHE_KAFKA_SASL: 'scram-sha-512',
    LETHE_KAFKA_USERNAME: name,
    LETHE_KAFKA_PASSWORD_FILE: secrets.passwordFile(name),
    ...topicEnv,
  };
}

const attemptsMax = 5;

/** The administrator's command; a broker that has just started may not know its topics yet, and repeating does no harm. */
async function createTopicsAs(env: Readonly<Record<string, string>>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await run(process.execPath, [createTopics], { env });
      return;
    } catch (error) {
      if (attempt === attemptsMax) throw error;
    }
  }
}

/** Over the listener on which everybody is an administrator. */
async function grantAcls(address: string): Promise<void> {
  const logger = createLogger({ service: 'local', level: 'silent' });
  const settings = { brokers: [address], clientId: 'local' };
  const client = createKafkaClient(settings, defaultKafkaTimeouts, logger).admin();
  await client.connect();
  try {
    await client.createAcls({ acl: kafkaAcls(topics).flatMap(aclEntries) });
  } finally {
    await client.disconnect();
  }
}
