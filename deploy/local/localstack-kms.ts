import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
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
import { installPython } from './python-environment.ts';

const requirementsFile = fileURLToPath(new URL('localstack-requirements.txt', import.meta.url));

/** The version that is installed, as the list of requirements pins it. */
export function localStackVersion(): string {
  const pinned = /^localstack-core==(.+)$/m.exec(readFileSync(requirementsFile, 'utf8'))?.[1];
  if (pinned === undefined) throw new Error('localstack-requirements.txt pins no localstack-core');
  return pinned;
}

/**
 * LocalStack's Python environment in the cache, made from PyPI when it is not there (half a minute, 230 MB). Answers
 * its interpreter. Throws when there is no Python 3.13, or PyPI cannot be reached.
 */
export async function installLocalStack(cache: string): Promise<string> {
  const name = `localstack-${localStackVersion()}`;
  return await installPython(cache, { name, requirementsFile, minor: 13 });
}

/** LocalStack with nothing but KMS, on loopback. Its keys lie in memory and end with it. */
export interface LocalKms {
  readonly address: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Stopped as by SIGSTOP: it takes connections and answers nothing, until it goes on. */
  pause(): void;
  goOn(): void;
  /** Kills it and removes every file. */
  destroy(): Promise<void>;
}

const startsWithinMs = 120_000;
const pollMs = 100;

/** Starts it with an interpreter of `installLocalStack`: 5 to 10 s. */
export async function startLocalKms(interpreter: string): Promise<LocalKms> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-localstack-'));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const child = start(interpreter, folder, port);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const destroy = async (): Promise<void> => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilHealthy(address, child);
  } catch (error) {
    const log = readFileSync(path.join(folder, 'localstack.log'), 'utf8');
    await destroy();
    throw new Error(`LocalStack did not start:\n${log.slice(-2_000)}`, { cause: error });
  }
  return {
    address,
    kill,
    pause: () => void child.kill('SIGSTOP'),
    goOn: () => void child.kill('SIGCONT'),
    destroy,
  };
}

function start(interpreter: string, folder: string, port: number): ChildProcess {
  const certificate = makeCertificate(folder);
  // `env -i`: nothing of the caller's environment, such as credentials of AWS, gets into it.
  const settings = [
    `PATH=/usr/bin:/bin`,
    `HOME=${folder}`,
    'SERVICES=kms',
    'EAGER_SERVICE_LOADING=1',
    'DISABLE_EVENTS=1',
    'DNS_ADDRESS=0',
    'SKIP_SSL_CERT_DOWNLOAD=1',
    `CUSTOM_SSL_CERT_PATH=${certificate}`,
    `GATEWAY_LISTEN=127.0.0.1:${port}`,
    `FILESYSTEM_ROOT=${folder}`,
    `LOCALSTACK_VOLUME_DIR=${path.join(folder, 'volume')}`,
  ];
  mkdirSync(path.join(folder, 'volume'));
  const log = openSync(path.join(folder, 'localstack.log'), 'w');
  const args = ['-i', ...settings, interpreter, '-m', 'localstack.runtime.main'];
  const child = spawn('env', args, { cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

/** It makes one by itself by a call that its own library has dropped; only plain http is used here. */
function makeCertificate(folder: string): string {
  const file = path.join(folder, 'certificate.pem');
  const [keyFile, certificateFile] = [`${file}.new-key`, `${file}.new`];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...kind, '-days', '2', '-subj', '/CN=localhost'].concat([
      '-keyout',
      keyFile,
      '-out',
      certificateFile,
    ]),
    { stdio: 'pipe' },
  );
  const parts = [keyFile, certificateFile].map((part) => readFileSync(part, 'utf8'));
  writeFileSync(file, parts.join(''), { mode: 0o600 });
  return file;
}

async function untilHealthy(address: string, child: ChildProcess): Promise<void> {
  const attempts = startsWithinMs / pollMs;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended');
    try {
      const { ok } = await fetch(`${address}/_localstack/health`);
      if (ok) return;
    } catch {
      // Not listening yet.
    }
    await delay(pollMs);
  }
  throw new Error('it does not answer');
}
