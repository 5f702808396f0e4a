import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export interface LocalVaultOptions {
  /** From `findVault` or `buildVault`. */
  readonly binary: string;
  /** `dev`: in memory, everything is lost when it ends. `raft`: on disk, sealed after every start. */
  readonly mode: 'dev' | 'raft';
}

export interface LocalAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A Vault of one's own on loopback without TLS, files in a temporary folder, one unseal key, root token at hand. */
export interface LocalVault {
  /** What `vault version` says. */
  readonly version: string;
  readonly address: string;
  readonly folder: string;
  /** Calls `/v1/<path>` as root, or with another token. */
  api(method: string, path: string, body?: unknown, token?: string): Promise<LocalAnswer>;
  /** Starts a stopped one again; in raft mode it is sealed then. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Kills it and removes every file. */
  destroy(): Promise<void>;
}

const startsWithinMs = 30_000;
const pollMs = 20;

/** Starts it and, in raft mode, initialises and unseals it: 0.5 to 2 s. */
export async function startLocalVault(options: LocalVaultOptions): Promise<LocalVault> {
  const { binary, mode } = options;
  const version = execFileSync(binary, ['version'], { encoding: 'utf8' }).trim();
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-vault-'));
  const address = `http://127.0.0.1:${await freePort()}`;
  const args = mode === 'dev' ? devArguments(address) : await raftArguments(folder, address);
  const server = new VaultProcess(binary, args, folder);
  const api = apiOf(address, () => initialSecrets(folder)?.root_token ?? devRootToken);
  const start = async (): Promise<void> => {
    server.start();
    await until(() => answers(api, server, mode));
  };
  const unseal = async (): Promise<void> => {
    const unsealKey = initialSecrets(folder)?.keys[0] ?? server.devUnsealKey();
    await required(api('PUT', 'sys/unseal', { key: unsealKey }));
    // In raft mode it must become leader first.
    await until(async () => (await api('GET', 'sys/health')).status === 200);
  };
  await start();
  if (mode === 'raft') {
    const wish = { secret_shares: 1, secret_threshold: 1 };
    const { body } = await required(api('PUT', 'sys/init', wish));
    writeFileSync(path.join(folder, 'init.json'), JSON.stringify(body), { mode: 0o600 });
    await unseal();
  }
  return {
    version,
    address,
    folder,
    api,
    start,
    stop: () => server.end('SIGTERM'),
    kill: () => server.end('SIGKILL'),
    seal: async () => {
      await required(api('PUT', 'sys/seal'));
    },
    unseal,
    destroy: async () => {
      await server.end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const devRootToken = 'dev-root-token';

function devArguments(address: string): string[] {
  return [
    'server',
    '-dev',
    '-dev-no-store-token',
    `-dev-root-token-id=${devRootToken}`,
    `-dev-listen-address=${new URL(address).host}`,
    '-log-level=warn',
  ];
}

async function raftArguments(folder: string, address: string): Promise<string[]> {
  const clusterPort = await freePort();
  const file = path.join(folder, 'vault.hcl');
  const settings = `storage "raft" {
  path = "${folder}"
  node_id = "n1"
}
listener "tcp" {
  address = "${new URL(address).host}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_disable = true
}
api_addr = "${address}"
cluster_addr = "http://127.0.0.1:${clusterPort}"
disable_mlock = true
log_level = "warn"
`;
  writeFileSync(file, settings);
  return ['server', `-config=${file}`];
}

interface InitialSecrets {
  readonly root_token: string;
  readonly keys: readonly [string];
}

/** Undefined in dev mode, and before a raft one is initialised. */
function initialSecrets(folder: string): InitialSecrets | undefined {
  const file = path.join(folder, 'init.json');
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as InitialSecrets;
}

function apiOf(address: string, rootToken: () => string): LocalVault['api'] {
  return async (method, apiPath, body, token = rootToken()) => {
    const response = await fetch(`${address}/v1/${apiPath}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const parsed: unknown = text === '' ? undefined : JSON.parse(text);
    return { status: response.status, body: parsed };
  };
}

async function required(answer: Promise<LocalAnswer>): Promise<LocalAnswer> {
  const { status, body } = await answer;
  if (status < 300) return { status, body };
  throw new Error(`Vault answered ${status}: ${JSON.stringify(body)}`);
}

/** Whether it listens, and in dev mode has unsealed itself; throws when its process has ended. */
async function answers(
  api: LocalVault['api'],
  server: VaultProcess,
  mode: LocalVaultOptions['mode'],
): Promise<boolean> {
  server.assertRunning();
  try {
    const question = mode === 'dev' ? 'sys/health' : 'sys/seal-status';
    return (await api('GET', question)).status === 200;
  } catch {
    // Not yet.
    return false;
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const endsAtMs = performance.now() + startsWithinMs;
  while (!(await isTrue())) {
    if (performance.now() > endsAtMs) throw new Error('Vault does not become ready');
    await delay(pollMs);
  }
}

/** One server process at a time. It ends with this process, whatever that dies of but SIGKILL. */
class VaultProcess {
  readonly #command: readonly [string, readonly string[]];
  readonly #folder: string;
  #running: ChildProcess | undefined;
  #said = '';

  constructor(binary: string, args: readonly string[], folder: string) {
    this.#command = [binary, args];
    this.#folder = folder;
  }

  start(): void {
    if (this.#running !== undefined) throw new Error('Vault runs already');
    const [binary, args] = this.#command;
    const child = spawn(binary, args, {
      cwd: this.#folder,
      env: { HOME: this.#folder, PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running = child;
    this.#said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-20_000);
      });
    }
    const killWithThis = () => child.kill('SIGKILL');
    process.once('exit', killWithThis);
    child.once('exit', () => {
      process.off('exit', killWithThis);
      if (this.#running === child) this.#running = undefined;
    });
  }

  assertRunning(): void {
    if (this.#running === undefined) throw new Error(`Vault ended: ${this.#said}`);
  }

  /** What a dev server says at its start. */
  devUnsealKey(): string {
    const found = /Unseal Key: (\S+)/.exec(this.#said)?.[1];
    if (found === undefined) throw new Error('Vault has not said its unseal key');
    return found;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#running;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}
