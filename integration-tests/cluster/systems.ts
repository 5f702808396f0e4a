import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import kafkajs from 'kafkajs';
import { kafkaAcls } from '@lethe/platform/event-log/kafka-acls.ts';
import {
  type CertificateAuthority,
  createCertificateAuthority,
} from '@lethe/platform/testing/certificate-authority.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { topics } from '@lethe/proto/topics.ts';
import { startLocalClickHouse } from '../../deploy/local/clickhouse.ts';
import { freePort } from '../../deploy/local/free-port.ts';
import { startLocalBroker } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries, startLocalPostgres } from '../../deploy/local/postgres.ts';
import { provisionVault } from '../../deploy/local/provisioned-vault.ts';
import { startTlsFront } from '../../deploy/local/tls-front.ts';
import { startLocalVault } from '../../deploy/local/vault.ts';
import { aclEntries } from '@lethe/platform/event-log/kafka-acl-entries.ts';
import { makeKafkaCertificate } from './kafka-certificate.ts';

/** Kafka, PostgreSQL, ClickHouse and Vault on the node's address, all of them over TLS and with a login for each service. */
export interface ClusterSystems {
  readonly authority: CertificateAuthority;
  readonly versions: readonly string[];
  /** `host:port`, TLS and SCRAM-SHA-512. */
  readonly kafka: string;
  /** Without login or encryption, on the loopback of the node's network. */
  readonly kafkaOnLoopback: string;
  /** Of its certificate, PEM. */
  readonly kafkaAuthority: string;
  /** TLS and a password. */
  readonly postgresPort: number;
  /** https://… */
  readonly clickHouse: string;
  readonly clickHousePassword: string;
  /** https://… */
  readonly vault: string;
  readonly roleId: string;
  readonly secretId: string;
  /** By user: the services, and `lethe-admin` for Kafka's topics. */
  readonly passwords: ReadonlyMap<string, string>;
  stop(): Promise<void>;
}

export const kafkaAdministrator = 'lethe-admin';
const database = 'lethe';

type End = () => Promise<void>;

/** `host` is the node's address, where pods find it. Stops what it started when it throws. */
export async function startClusterSystems(
  host: string,
  folder: string,
  vaultBinary: string,
): Promise<ClusterSystems> {
  const ends: End[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  const authority = createCertificateAuthority('Lethe cluster authority');
  const users = [...serviceNames, kafkaAdministrator];
  const passwords = new Map(users.map((user) => [user, randomBytes(18).toString('hex')]));
  const site: Site = { host, folder, authority, passwords, ends };
  try {
    const kafka = await startKafka(site);
    const postgres = await startPostgres(site);
    const vault = await startVault(site, vaultBinary);
    const clickHouse = await startClickHouse(site);
    const versions = [`Apache Kafka ${kafka.version}`, postgres.version, vault.version];
    return { authority, versions, passwords, ...kafka, ...postgres, ...vault, ...clickHouse, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Site {
  readonly host: string;
  readonly folder: string;
  readonly authority: CertificateAuthority;
  readonly passwords: ReadonlyMap<string, string>;
  readonly ends: End[];
}

function issue({ authority, host }: Site) {
  return authority.issue({ ips: [host, '127.0.0.1'], dnsNames: ['localhost'] });
}

async function startKafka(site: Site) {
  const { host, folder, passwords, ends } = site;
  const { storeFile, authority: kafkaAuthority } = makeKafkaCertificate(folder, host);
  const properties = `
listeners=SASL_SSL://${host}:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@
advertised.listeners=SASL_SSL://${host}:@TLS_PORT@,PLAINTEXT://127.0.0.1:@PORT@
listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=${storeFile}
num.network.threads=6
num.io.threads=4
socket.listen.backlog.size=500
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
`;
  const extra = path.join(folder, 'kafka.properties');
  writeFileSync(extra, properties);
  const logins = [...passwords].map(
    ([user, password]) => `--add-scram SCRAM-SHA-512=[name=${user},password=${password}]`,
  );
  const broker = await startLocalBroker(extra, logins.join(' '));
  ends.push(async () => await broker.remove());
  const { Kafka, logLevel } = kafkajs;
  const client = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  await admin.createAcls({ acl: kafkaAcls(topics).flatMap(aclEntries) });
  await admin.disconnect();
  const port = Number(broker.address.split(':')[1]);
  return {
    kafka: `${host}:${port + 2}`,
    kafkaOnLoopback: broker.address,
    kafkaAuthority,
    version: broker.version,
  };
}

async function startPostgres(site: Site) {
  const { host, passwords, ends } = site;
  // The server is not root, and `folder` is root's alone.
  const open = mkdtempSync(path.join(tmpdir(), 'lethe-access-'));
  chmodSync(open, 0o755);
  ends.push(async () => rmSync(open, { recursive: true }));
  const access = path.join(open, 'pg_hba.conf');
  const rules = [
    'local all all trust',
    'host all lethe 127.0.0.1/32 trust',
    'hostssl all all 10.244.0.0/16 scram-sha-256',
  ];
  writeFileSync(access, `${rules.join('\n')}\n`, { mode: 0o644 });
  const tls = issue(site);
  const settings = { listen_addresses: `127.0.0.1,${host}`, hba_file: access };
  const server = await startLocalPostgres({ durable: true, tls, settings });
  ends.push(async () => await server.destroy());
  const psql = path.join(findPostgresBinaries() ?? '', 'psql');
  const sql = (url: string, statements: string): void => {
    const command = ['-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', statements];
    execFileSync(psql, command, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  sql(server.url, `create database ${database}`);
  for (const name of serviceNames) {
    const role = `create role ${name} login password '${passwords.get(name) ?? ''}'`;
    sql(
      server.url.replace(/postgres$/, database),
      `${role}; create schema ${name} authorization ${name}`,
    );
  }
  return { postgresPort: server.port, version: server.version };
}

async function startVault(site: Site, binary: string) {
  const server = await startLocalVault({ binary, mode: 'dev' });
  site.ends.push(async () => await server.destroy());
  const { roleId, secretId } = await provisionedLogin(server);
  const vault = await frontOf(site, Number(new URL(server.address).port));
  return { vault, roleId, secretId, version: server.version };
}

async function provisionedLogin(server: Awaited<ReturnType<typeof startLocalVault>>) {
  const variables = await provisionVault(server);
  const read = (name: string): string =>
    execFileSync('cat', [variables[name] ?? ''], { encoding: 'utf8' }).trim();
  return {
    roleId: read('LETHE_KEYS_VAULT_ROLE_ID_FILE'),
    secretId: read('LETHE_KEYS_VAULT_SECRET_ID_FILE'),
  };
}

async function startClickHouse(site: Site) {
  const server = await startLocalClickHouse();
  site.ends.push(async () => await server.destroy());
  const clickHousePassword = execFileSync('cat', [server.passwordFile], {
    encoding: 'utf8',
  }).trim();
  const clickHouse = await frontOf(site, Number(new URL(server.url).port));
  return { clickHouse, clickHousePassword };
}

async function frontOf(site: Site, toPort: number): Promise<string> {
  const port = await freePort();
  site.ends.push(await startTlsFront({ host: site.host, port, ...issue(site), toPort }));
  return `https://${site.host}:${port}`;
}
