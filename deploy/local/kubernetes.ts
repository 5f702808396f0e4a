import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import type { KubernetesBinaries } from './kubernetes-binaries.ts';

export interface LocalKubernetesOptions {
  readonly binaries: KubernetesBinaries;
  readonly kubectl: string;
}

/** A control plane of Kubernetes on loopback with one simulated node; nothing of it outlives `destroy`. */
export interface LocalKubernetes {
  /** What the API server calls itself. */
  readonly version: string;
  /** A file with an administrator's login. */
  readonly kubeconfig: string;
  /** Answers what kubectl writes; throws with what it says instead. */
  kubectl(args: readonly string[], input?: string): string;
  destroy(): Promise<void>;
}

const users = {
  admin: 'admin,admin,"system:masters"',
  controllers: 'system:kube-controller-manager,controllers,',
  scheduler: 'system:kube-scheduler,scheduler,',
  kwok: 'kwok,kwok,"system:masters"',
} as const;
type User = keyof typeof users;

const startsWithinMs = 300_000;

/** etcd without fsync, the API server with token logins, controllers, scheduler, kwok: 9 to 15 s on an idle machine. */
export async function startLocalKubernetes(
  options: LocalKubernetesOptions,
): Promise<LocalKubernetes> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-kubernetes-'));
  const running: Running[] = [];
  const destroy = async () => {
    for (const each of running.toReversed()) await each.end();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await start(options, folder, running)), destroy };
  } catch (error) {
    const logs = running.map(
      ({ name, log }) => `${name}: ${readFileSync(log, 'utf8').slice(-1_500)}`,
    );
    await destroy();
    throw new Error(`Kubernetes did not start\n${logs.join('\n')}`, { cause: error });
  }
}

type Started = Omit<LocalKubernetes, 'destroy'>;

async function start(
  { binaries, kubectl }: LocalKubernetesOptions,
  folder: string,
  running: Running[],
): Promise<Started> {
  const launch = (name: string, file: string, args: readonly string[]) => {
    running.push(launched(name, file, args, folder));
  };
  const [port, etcdPort, etcdPeerPort] = [await freePort(), await freePort(), await freePort()];
  const tokens = writeTokens(folder);
  launch('etcd', binaries.controlPlane, ['etcd', ...etcdArguments(folder, etcdPort, etcdPeerPort)]);
  writeServiceAccountKey(folder);
  launch('kube-apiserver', binaries.controlPlane, [
    'kube-apiserver',
    ...serverArguments(folder, port, etcdPort),
  ]);
  const certificate = path.join(folder, 'apiserver.crt');
  await until('the certificate', running, () => existsSync(certificate));
  const login = (user: User) => writeLogin(folder, user, tokens[user], port);
  const kubeconfig = login('admin');
  const run = (args: readonly string[], input?: string): string =>
    execFileSync(kubectl, ['--kubeconfig', kubeconfig, ...args], {
      encoding: 'utf8',
      input: input ?? '',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  await until('the API server', running, () => succeeds(() => run(['get', '--raw', '/readyz'])));
  launch('kube-controller-manager', binaries.controlPlane, [
    'kube-controller-manager',
    ...controllerArguments(folder, login('controllers')),
  ]);
  launch('kube-scheduler', binaries.controlPlane, [
    'kube-scheduler',
    ...schedulerArguments(login('scheduler')),
  ]);
  await until('the controllers', running, () =>
    succeeds(() => run(['-n', 'default', 'get', 'serviceaccount', 'default'])),
  );
  launch('kwok', binaries.kwok, kwokArguments(login('kwok')));
  run(['apply', '-f', '-'], simulatedNode);
  await until('the node', running, () => isNodeReady(run(['get', 'node', 'kwok-0', '-o', 'json'])));
  const { serverVersion } = JSON.parse(run(['version', '-o', 'json'])) as {
    readonly serverVersion: { readonly gitVersion: string };
  };
  return { version: serverVersion.gitVersion, kubeconfig, kubectl: run };
}

function etcdArguments(folder: string, port: number, peerPort: number): readonly string[] {
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  return flags({
    name: 'local',
    'data-dir': path.join(folder, 'etcd'),
    'unsafe-no-fsync': true,
    'log-level': 'error',
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `local=${peer}`,
  });
}

/** Without a certificate of its own the server writes itself one into cert-dir; clients trust that file. */
function serverArguments(folder: string, port: number, etcdPort: number): readonly string[] {
  const privateKeyFile = path.join(folder, 'service-account.key');
  return flags({
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    'secure-port': port,
    'advertise-address': '127.0.0.1',
    // The others refuse a loopback address.
    'endpoint-reconciler-type': 'none',
    'cert-dir': folder,
    'service-cluster-ip-range': '10.96.0.0/16',
    'anonymous-auth': false,
    'authorization-mode': 'Node,RBAC',
    'token-auth-file': path.join(folder, 'tokens.csv'),
    'enable-admission-plugins': 'NodeRestriction',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-signing-key-file': privateKeyFile,
    'service-account-key-file': privateKeyFile,
    profiling: false,
  });
}

function controllerArguments(folder: string, login: string): readonly string[] {
  return flags({
    kubeconfig: login,
    'use-service-account-credentials': true,
    'leader-elect': false,
    'secure-port': 0,
    'service-account-private-key-file': path.join(folder, 'service-account.key'),
    'root-ca-file': path.join(folder, 'apiserver.crt'),
    'flex-volume-plugin-dir': path.join(folder, 'flex'),
  });
}

function schedulerArguments(login: string): readonly string[] {
  return flags({ kubeconfig: login, 'leader-elect': false, 'secure-port': 0 });
}

function kwokArguments(login: string): readonly string[] {
  return flags({
    kubeconfig: login,
    config: fileURLToPath(new URL('kubernetes/stages.yaml', import.meta.url)),
    'manage-nodes-with-annotation-selector': 'kwok.x-k8s.io/node=fake',
    'node-ip': '127.0.0.1',
    cidr: '10.244.0.0/16',
    'node-lease-duration-seconds': 40,
  });
}

function flags(values: Readonly<Record<string, string | number | boolean>>): readonly string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

const simulatedNode = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'kwok-0',
    annotations: { 'kwok.x-k8s.io/node': 'fake', 'node.alpha.kubernetes.io/ttl': '0' },
    labels: {
      'kubernetes.io/hostname': 'kwok-0',
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
    },
  },
  status: {
    allocatable: { cpu: '64', memory: '256Gi', pods: '200' },
    capacity: { cpu: '64', memory: '256Gi', pods: '200' },
  },
});

function isNodeReady(said: string): boolean {
  const { status } = JSON.parse(said) as {
    readonly status: {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  };
  return (status.conditions ?? []).some(
    ({ type, status: is }) => type === 'Ready' && is === 'True',
  );
}

function writeTokens(folder: string): Readonly<Record<User, string>> {
  const entries = Object.entries(users).map(
    ([user, line]) => [user, randomBytes(24).toString('hex'), line] as const,
  );
  const text = entries.map(([, token, line]) => `${token},${line}\n`).join('');
  writeFileSync(path.join(folder, 'tokens.csv'), text, { mode: 0o600 });
  return Object.fromEntries(entries.map(([user, token]) => [user, token])) as Record<User, string>;
}

function writeServiceAccountKey(folder: string): void {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' });
  writeFileSync(path.join(folder, 'service-account.key'), pem, { mode: 0o600 });
}

/** JSON is YAML. */
function writeLogin(folder: string, user: User, token: string, port: number): string {
  const file = path.join(folder, `${user}.kubeconfig`);
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority': path.join(folder, 'apiserver.crt'),
  };
  const login = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'local', context: { cluster: 'local', user } }],
    'current-context': 'local',
  };
  writeFileSync(file, JSON.stringify(login), { mode: 0o600 });
  return file;
}

interface Running {
  readonly name: string;
  readonly log: string;
  isAlive(): boolean;
  end(): Promise<void>;
}

function launched(name: string, file: string, args: readonly string[], folder: string): Running {
  const log = path.join(folder, `${name}.log`);
  const out = openSync(log, 'a');
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', out, out] });
  closeSync(out);
  const killWithThis = () => child.kill('SIGKILL');
  process.once('exit', killWithThis);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      process.off('exit', killWithThis);
      resolve();
    });
  });
  return {
    name,
    log,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    // Nothing of it is kept.
    end: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function until(
  what: string,
  running: readonly Running[],
  isThere: () => boolean,
): Promise<void> {
  const endsMs = performance.now() + startsWithinMs;
  while (!isThere()) {
    const dead = running.find((each) => !each.isAlive());
    if (dead !== undefined) throw new Error(`${dead.name} ended while ${what} was waited for`);
    if (performance.now() > endsMs) throw new Error(`${what}: not there in time`);
    await delay(300);
  }
}

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
