import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { type LocalClickHouse, startLocalClickHouse } from './clickhouse.ts';
import { freePort } from './free-port.ts';
import { type LocalBroker, startLocalBroker } from './kafka.ts';
import { writeIdentities } from './local-identities.ts';
import { type PathRouter, publicRoutes, startPathRouter } from './path-router.ts';
import { findPostgresBinaries, type LocalPostgres, startLocalPostgres } from './postgres.ts';
import { provisionVault } from './provisioned-vault.ts';
import { secureSystems, type SecuredSystems } from './secured-systems.ts';
import { type ServiceProcess, serviceProcess } from './service-process.ts';
import { type LocalVault, startLocalVault } from './vault.ts';

export interface SixProcessesWish {
  /** From `findVault`. */
  readonly vaultBinary: string;
  readonly logLevel?: 'debug' | 'info';
  /** Further variables for every service, and by service. */
  readonly env?: Readonly<Record<string, string>>;
  /** The order in which services start; any will do. */
  readonly order?: readonly ServiceName[];
  /** Kafka over TLS with SCRAM and ACLs, PostgreSQL over TLS with passwords; otherwise both in plaintext. */
  readonly isSecured?: boolean;
}

/** Kafka, PostgreSQL, Vault, the ClickHouse front and the six services, each a process of its own on loopback. */
export interface SixProcesses {
  /** With what the command line looks for: server.json, issuer.jwk, certificate-key.pem. */
  readonly dataFolder: string;
  /** The path router: one address for all public APIs. */
  readonly address: string;
  readonly kafka: LocalBroker;
  readonly postgres: LocalPostgres;
  readonly vault: LocalVault;
  readonly clickHouse: LocalClickHouse;
  /** Undefined unless it was asked for. */
  readonly secured: SecuredSystems | undefined;
  readonly services: ReadonlyMap<ServiceName, ServiceProcess>;
  service(name: ServiceName): ServiceProcess;
  /** One more process of a service, at ports of its own; not started, and known to no other. */
  anotherOf(name: ServiceName): Promise<ServiceProcess>;
  /** From now on new calls of a service go to this process of it. */
  routeTo(process: ServiceProcess): void;
  /** Breaks off the calls that are under way to a process. */
  cutCallsTo(process: ServiceProcess): void;
  /** Runs statements as the superuser of PostgreSQL. */
  sql(statements: string): void;
  /** The rows of one query, their columns as text. */
  readonly query: (select: string) => readonly (readonly string[])[];
  /** Ends everything and removes every file. */
  stop(): Promise<void>;
}

/** All calls that a service's own process makes (its main.ts says the same). */
const callsOf: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  tickets: ['keys', 'privacy', 'analytics'],
  predictions: ['keys', 'privacy', 'analytics', 'tickets'],
  usage: ['keys', 'privacy', 'analytics'],
  analytics: ['keys', 'privacy', 'tickets', 'predictions', 'usage'],
  privacy: ['keys', 'tickets', 'predictions', 'usage', 'analytics'],
  keys: ['privacy'],
};

/** Half a minute on an idle machine; ten times as long beside much else. */
const servingWithinMs = 300_000;

/** Starts the systems, then all services at once, and waits until they serve. Stops what it started when it throws. */
export async function startSixProcesses(wish: SixProcessesWish): Promise<SixProcesses> {
  const ends: End[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return await startAll(wish, ends, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startAll(
  wish: SixProcessesWish,
  ends: End[],
  stop: () => Promise<void>,
): Promise<SixProcesses> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-six-'));
  ends.push(async () => rmSync(folder, { recursive: true, force: true }));
  const secured = wish.isSecured === true ? secureSystems() : undefined;
  ends.push(async () => secured?.remove());
  const systems = { ...(await startSystems(wish.vaultBinary, ends, secured)), secured };
  const sql = (statements: string) => void runSql(systems.postgres, statements);
  createSchemas(sql);
  if (secured !== undefined) sql(secured.passwordSql);
  await secured?.grant(systems.kafka);
  const make = await processMaker(wish, systems, folder);
  const ports = await takePorts();
  const services = new Map(
    serviceNames.map((name) => [name, make(name, ports, portsFor(name, ports))]),
  );
  const service = (name: ServiceName): ServiceProcess => {
    const found = services.get(name);
    if (found === undefined) throw new RangeError(`no service ${name}`);
    return found;
  };
  for (const each of services.values()) ends.push(async () => void (await each.end()));
  for (const name of wish.order ?? serviceNames) service(name).start();
  await Promise.all(serviceNames.map((name) => service(name).untilServing(servingWithinMs)));
  const routed = new Map<string, string>();
  for (const { name, publicAddress } of services.values()) routed.set(name, publicAddress);
  const router = await startRouter(services, routed, folder, ends);
  const { address } = router;
  const info = { address, healthAddress: address, pid: process.pid };
  writeFileSync(path.join(folder, 'server.json'), `${JSON.stringify(info)}\n`);
  const anotherOf = async (name: ServiceName) => {
    const another = make(name, ports, portsFor(name, await takePorts()));
    ends.push(async () => void (await another.end('SIGKILL')));
    return another;
  };
  const routeTo = ({ name, publicAddress }: ServiceProcess) => void routed.set(name, publicAddress);
  const cutCallsTo = ({ publicAddress }: ServiceProcess) => router.cut(publicAddress);
  const query = (select: string) => queryRows(systems.postgres, select);
  const known = { dataFolder: folder, address, services, service, anotherOf };
  return { ...systems, ...known, routeTo, cutCallsTo, sql, query, stop };
}

type End = () => Promise<void>;
type Systems = Pick<SixProcesses, 'kafka' | 'postgres' | 'vault' | 'clickHouse'>;

async function startSystems(
  vaultBinary: string,
  ends: End[],
  secured: SecuredSystems | undefined,
): Promise<Systems> {
  const ended = async <T>(starting: Promise<T>, end: (system: T) => Promise<void>): Promise<T> => {
    const system = await starting;
    ends.push(async () => await end(system));
    return system;
  };
  const starting = [
    ended(secured?.startKafka() ?? startLocalBroker(), async (kafka) => await kafka.remove()),
    ended(
      secured?.startPostgres() ?? startLocalPostgres({ durable: true }),
      async (postgres) => await postgres.destroy(),
    ),
    ended(startLocalVault({ binary: vaultBinary, mode: 'dev' }), async (vault) => {
      await vault.destroy();
    }),
    ended(startLocalClickHouse(), async (clickHouse) => await clickHouse.destroy()),
  ] as const;
  // All of them first: one that is still starting when another fails is to be ended too.
  await Promise.allSettled(starting);
  const [kafka, postgres, vault, clickHouse] = await Promise.all(starting);
  return { kafka, postgres, vault, clickHouse };
}

/** Answers how to make the process of a service, given all ports and its own. */
async function processMaker(
  wish: SixProcessesWish,
  systems: Systems & Pick<SixProcesses, 'secured'>,
  folder: string,
) {
  const { kafka, postgres, vault, clickHouse, secured } = systems;
  const { authorityPem, env } = writeIdentities(folder);
  const common = {
    // A service is to read nothing of the surroundings of whoever starts it.
    PATH: '/usr/bin:/bin',
    // A restart takes half the processor time: sources are compiled once. Written when a process ends by itself.
    NODE_COMPILE_CACHE: path.join(folder, 'compile-cache'),
    LETHE_KAFKA_BROKERS: kafka.address,
    LETHE_KAFKA_TLS: 'off',
    LETHE_KAFKA_TOPICS: 'create',
    LETHE_KAFKA_REPLICATION_FACTOR: '1',
    LETHE_KAFKA_MIN_INSYNC_REPLICAS: '1',
    LETHE_POSTGRES_TLS: 'off',
    LETHE_LOG_LEVEL: wish.logLevel ?? 'info',
  };
  const own: Partial<Record<ServiceName, Record<string, string>>> = {
    keys: await provisionVault(vault),
    analytics: {
      LETHE_CLICKHOUSE_URL: clickHouse.url,
      LETHE_CLICKHOUSE_PASSWORD_FILE: clickHouse.passwordFile,
      LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: '1',
    },
    privacy: { LETHE_PRIVACY_SIGNING_KEY_FILE: path.join(folder, 'certificate-signing.jwk') },
  };
  return (name: ServiceName, ports: Ports, mine: OwnPorts): ServiceProcess =>
    serviceProcess({
      name,
      env: {
        ...common,
        ...env(name),
        ...own[name],
        ...addressesOf(name, ports, mine),
        LETHE_POSTGRES_URL: `postgres://${name}@127.0.0.1:${postgres.port}/postgres`,
        ...secured?.env(name, kafka, postgres),
        ...wish.env,
      },
      logFile: path.join(folder, `${name}.log`),
      ports: mine,
      authorityPem,
    });
}

async function startRouter(
  services: ReadonlyMap<ServiceName, ServiceProcess>,
  routed: ReadonlyMap<string, string>,
  folder: string,
  ends: End[],
): Promise<PathRouter> {
  const isWell = async (process: ServiceProcess): Promise<boolean> => {
    const said = await process.health();
    return said?.phase === 'serving' && said.problems.length === 0;
  };
  const router = await startPathRouter({
    routes: publicRoutes((name) => routed.get(name) ?? ''),
    authorityPem: readFileSync(path.join(folder, 'authority.pem'), 'utf8'),
    isServing: async (name) => {
      const asked = [...services.values()].filter((each) => name === '' || each.name === name);
      const answers = await Promise.all(asked.map(isWell));
      return answers.length > 0 && answers.every(Boolean);
    },
  });
  ends.push(async () => await router.close());
  return router;
}

/** A role and a schema of its own for each service. */
function createSchemas(sql: SixProcesses['sql']): void {
  for (const name of serviceNames) {
    sql(`create role ${name} login; create schema ${name} authorization ${name};`);
  }
}

function runSql(postgres: LocalPostgres, statements: string): string {
  const binaries = findPostgresBinaries();
  if (binaries === undefined) throw new Error('no psql');
  const command = ['-q', '-v', 'ON_ERROR_STOP=1', '-d', postgres.url, '-c', statements];
  return execFileSync(path.join(binaries, 'psql'), command, {
    encoding: 'utf8',
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function queryRows(postgres: LocalPostgres, select: string): readonly (readonly string[])[] {
  const lines = runSql(postgres, `copy (${select}) to stdout`).split('\n');
  return lines.filter((line) => line !== '').map((line) => line.split('\t'));
}

type Ports = ReadonlyMap<string, number>;

async function takePorts(): Promise<Ports> {
  const wanted = serviceNames.flatMap((name) => [
    `${name} public`,
    `${name} internal`,
    `${name} health`,
  ]);
  const taken = new Map<string, number>();
  for (const name of wanted) taken.set(name, await freePort());
  return taken;
}

type OwnPorts = ReturnType<typeof portsFor>;

function portsFor(name: ServiceName, ports: Ports) {
  const of = (what: string) => ports.get(`${name} ${what}`) ?? 0;
  return { public: of('public'), internal: of('internal'), health: of('health') };
}

function addressesOf(name: ServiceName, ports: Ports, mine: OwnPorts): Record<string, string> {
  const peers = callsOf[name].map((peer) => [
    `LETHE_PEER_${peer.toUpperCase()}`,
    `localhost:${portsFor(peer, ports).internal}`,
  ]);
  return {
    ...(Object.fromEntries(peers) as Record<string, string>),
    LETHE_HEALTH_HOST: '127.0.0.1',
    LETHE_HEALTH_PORT: String(mine.health),
    LETHE_INTERNAL_HOST: '127.0.0.1',
    LETHE_INTERNAL_PORT: String(mine.internal),
    ...(name === 'keys'
      ? {}
      : { LETHE_PUBLIC_HOST: '127.0.0.1', LETHE_PUBLIC_PORT: String(mine.public) }),
  };
}
