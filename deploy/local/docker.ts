import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A Docker daemon of one's own: its containers' ports are open in its network namespace alone. */
export interface LocalDocker {
  /** What the daemon says of itself. */
  readonly version: string;
  /** As DOCKER_HOST wants it. */
  readonly host: string;
  /** The command that runs `command` in the daemon's network, where 127.0.0.1 reaches the containers' ports. */
  readonly inside: (command: readonly string[]) => [string, ...string[]];
  /** Ends it, with its containers, and removes its images and files. */
  readonly stop: () => Promise<void>;
}

const startsWithinMs = 60_000;
const stopsWithinMs = 30_000;

/** Why no daemon can be started here; undefined when one can. */
export function whyNoDockerDaemon(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux can';
  const missing = ['dockerd', 'containerd', 'iptables', 'ip', 'nsenter', 'unshare', 'setpriv'];
  const absent = missing.filter((program) => !isInstalled(program));
  if (absent.length === 0) return undefined;
  return `${absent.join(', ')} missing (apt-get install docker.io)`;
}

/**
 * Starts a daemon in a network namespace of its own, so that the machine's own routes, rules and forwarding stay as
 * they are: 2 s. It goes with this process, whatever that dies of; its folder is left behind only by SIGKILL.
 */
export async function startLocalDocker(): Promise<LocalDocker> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-docker-'));
  const socket = path.join(folder, 'docker.sock');
  const daemon = startDaemon(folder, socket);
  const stop = async (): Promise<void> => {
    await end(daemon.child);
    removeFolder(folder);
  };
  try {
    const version = await answers(socket, daemon);
    const { pid } = daemon.child;
    return {
      version,
      host: `unix://${socket}`,
      // The namespace has no name: it is the daemon's, and gone with the last process in it.
      inside: (command) => ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...command],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Daemon {
  readonly child: ChildProcess;
  /** The end of what it logged. */
  readonly said: () => string;
}

function startDaemon(folder: string, socket: string): Daemon {
  const settings = {
    'data-root': path.join(folder, 'data'),
    'exec-root': path.join(folder, 'exec'),
    pidfile: path.join(folder, 'docker.pid'),
    host: `unix://${socket}`,
    group: 'root',
    bip: '172.30.77.1/24',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  // Every step becomes the next one, so the process id stays the daemon's. It is told to end when its parent dies.
  const script = 'ip link set lo up && exec dockerd "$@"';
  const daemon = ['setpriv', '--pdeathsig', 'TERM', 'sh', '-c', script, 'dockerd', ...options];
  const child = spawn('unshare', ['--net', ...daemon], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
    });
  }
  child.once('error', (error) => {
    said += String(error);
  });
  return { child, said: () => said };
}

/** Waits until the daemon answers; answers its version. */
async function answers(socket: string, { child, said }: Daemon): Promise<string> {
  const endsAtMs = performance.now() + startsWithinMs;
  for (;;) {
    if (child.exitCode !== null || child.pid === undefined) {
      throw new Error(`the Docker daemon ended: ${said()}`);
    }
    const version = existsSync(socket) ? await versionOf(socket) : undefined;
    if (version !== undefined) return version;
    if (performance.now() > endsAtMs) throw new Error(`no Docker daemon in time: ${said()}`);
    await delay(50);
  }
}

/** Undefined while nothing answers. */
async function versionOf(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = request({ socketPath, path: '/version' }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.once('end', () => {
        if (answer.statusCode !== 200) return resolve(undefined);
        const { Version: version } = JSON.parse(text) as { readonly Version: string };
        resolve(version);
      });
    });
    asking.once('error', () => resolve(undefined));
    asking.end();
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  // Killed, it would leave its containerd and the containers behind: only when it does not end by itself.
  const late = setTimeout(() => child.kill('SIGKILL'), stopsWithinMs);
  await ended;
  clearTimeout(late);
}

/** What is still mounted below it is unmounted first. */
function removeFolder(folder: string): void {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of mounted.toReversed()) execFileSync('umount', ['--lazy', place]);
  rmSync(folder, { recursive: true, force: true });
}

function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
