import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

/** The HTTP front over the in-process engine (clickhouse-front.ts), as a process with a folder of its own. */
export interface LocalClickHouse {
  readonly url: string;
  readonly folder: string;
  readonly passwordFile: string;
  readonly pid: number | undefined;
  /** Kills it and removes every file. */
  destroy(): Promise<void>;
}

const front = fileURLToPath(new URL('./clickhouse-front.ts', import.meta.url));
const localPassword = 'local';

export async function startLocalClickHouse(): Promise<LocalClickHouse> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-clickhouse-'));
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, `${localPassword}\n`, { mode: 0o600 });
  const port = await freePort();
  const args = [front, String(port), path.join(folder, 'data'), passwordFile];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const killWithThis = () => child.kill('SIGKILL');
  process.once('exit', killWithThis);
  const destroy = async () => {
    process.off('exit', killWithThis);
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const ready = Promise.withResolvers<void>();
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-5_000);
  });
  child.stdout?.once('data', () => ready.resolve());
  void ended.then(() => ready.reject(new Error(`the ClickHouse front ended: ${said}`)));
  try {
    await ready.promise;
  } catch (error) {
    await destroy();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}`, folder, passwordFile, pid: child.pid, destroy };
}
