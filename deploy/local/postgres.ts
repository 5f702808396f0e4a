import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export interface LocalPostgresOptions {
  /**
   * Whether commits survive a crash of the machine: fsync and full_page_writes on. Without, commits survive a crash of
   * the server alone, and tests are faster.
   */
  readonly durable: boolean;
  /** PEM; without it the server speaks clear text alone. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string };
  /** Further settings of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A PostgreSQL server of one's own on loopback, data in a temporary folder, superuser `lethe` without password. */
export interface LocalPostgres {
  /** What `postgres --version` says. */
  readonly version: string;
  readonly port: number;
  readonly url: string;
  start(): Promise<void>;
  /** As an administrator does it: running transactions are rolled back. */
  stop(): Promise<void>;
  /** Kills every process of the server with SIGKILL. */
  kill(): Promise<void>;
  /** Copies the data folder of the stopped server; answers the copy's path. */
  copy(): string;
  /** Puts a copy in the place of the stopped server's data. */
  restore(copy: string): void;
  /** Kills the server and removes every file. */
  destroy(): Promise<void>;
}

const superuser = 'lethe';
const startsWithinMs = 60_000;

/** The folder of the newest server that Debian's packages installed; undefined when there is none. */
export function findPostgresBinaries(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Number.isFinite) : [];
  return versions
    .toSorted((a, b) => b - a)
    .map((version) => path.join(root, String(version), 'bin'))
    .find((folder) => existsSync(path.join(folder, 'postgres')));
}

/** initdb, start and wait until it answers: 2 s. Throws when `findPostgresBinaries` finds none. */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const binaries = findPostgresBinaries();
  if (binaries === undefined) {
    throw new Error('no PostgreSQL server: install Debian package postgresql');
  }
  const account = serverAccount();
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-postgres-'));
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  const data = path.join(folder, 'data');
  const run = (program: string, args: readonly string[]): string => {
    const [file, ...rest] = as(account, [program, ...args]);
    return execFileSync(file, rest, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  const login = ['-U', superuser, '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8'];
  run(path.join(binaries, 'initdb'), ['-D', data, '--no-sync', ...login]);
  const port = await freePort();
  if (options.tls !== undefined) {
    const files = { 'server.crt': options.tls.certificate, 'server.key': options.tls.privateKey };
    for (const [name, pem] of Object.entries(files)) {
      const file = path.join(data, name);
      writeFileSync(file, pem, { mode: 0o600 });
      if (account !== undefined) chownSync(file, account.uid, account.gid);
    }
  }
  const server = new ServerProcess(
    as(account, [path.join(binaries, 'postgres'), '-D', data, ...settingsOf(options, port)]),
    folder,
  );
  await server.start();
  const copies: string[] = [];
  return {
    version: run(path.join(binaries, 'postgres'), ['--version']).trim(),
    port,
    url: `postgres://${superuser}@127.0.0.1:${port}/postgres`,
    start: () => server.start(),
    stop: () => server.end('SIGINT'),
    kill: () => server.end('SIGKILL'),
    copy: () => {
      const copy = path.join(folder, `copy-${copies.length}`);
      copies.push(copy);
      run('cp', ['-a', data, copy]);
      return copy;
    },
    restore: (copy) => {
      rmSync(data, { recursive: true });
      run('cp', ['-a', copy, data]);
    },
    destroy: async () => {
      await server.end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function settingsOf({ durable, tls, settings }: LocalPostgresOptions, port: number): string[] {
  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '1000',
    shared_buffers: '64MB',
    fsync: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    synchronous_commit: 'on',
    ssl: tls === undefined ? 'off' : 'on',
    // Waits that a test is about to make end soon when they become a circle.
    deadlock_timeout: '200ms',
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The server refuses to run as root: then the account that Debian's package made. */
function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('root, and no account postgres');
  return { uid: Number(uid), gid: Number(gid) };
}

/** The command as that account: setpriv becomes it, so that its process id is the server's. */
function as(account: Account | undefined, command: readonly string[]): [string, ...string[]] {
  const [file = '', ...rest] = command;
  if (account === undefined) return [file, ...rest];
  const { uid, gid } = account;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', file, ...rest];
}

/** One server process at a time, by its id. */
class ServerProcess {
  readonly #command: readonly [string, ...string[]];
  readonly #folder: string;
  #running: ChildProcess | undefined;

  constructor(command: readonly [string, ...string[]], folder: string) {
    this.#command = command;
    this.#folder = folder;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) throw new Error('PostgreSQL runs already');
    const [file, ...args] = this.#command;
    const child = spawn(file, args, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#running = child;
    const ready = Promise.withResolvers<void>();
    const said: string[] = [];
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said.push(text);
      if (said.length > 20) said.shift();
      if (text.includes('ready to accept connections')) ready.resolve();
    });
    child.once('exit', () => {
      this.#running = undefined;
      ready.reject(new Error(`PostgreSQL ended: ${said.join('')}`));
    });
    const late = AbortSignal.timeout(startsWithinMs);
    late.addEventListener('abort', () => ready.reject(new Error('PostgreSQL does not start')));
    await ready.promise;
  }

  async end(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const child = this.#running;
    if (child?.pid === undefined) return;
    const family = [child.pid, ...childrenOf(child.pid)];
    const exited = new Promise((resolve) => child.once('exit', resolve));
    for (const pid of signal === 'SIGKILL' ? family : [child.pid]) send(pid, signal);
    await exited;
    // A server that starts while a process of the last one lives refuses its shared memory.
    while (family.some(isAlive)) await delay(5);
  }
}

/** A zombie holds nothing: whether it is reaped is the business of process 1. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
