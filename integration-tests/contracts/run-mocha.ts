import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..');

export interface MochaRun {
  /** Undefined when it ended by a signal. */
  readonly status: number | undefined;
  readonly passed: number;
  /** Both of its streams. */
  readonly said: string;
}

/** Mocha in a process of its own: `wrap` may put a command before it, `settings` are added to the environment. */
export async function runMocha(
  args: readonly string[],
  wrap: (command: readonly string[]) => readonly string[] = (command) => command,
  settings: Readonly<Record<string, string>> = {},
): Promise<MochaRun> {
  const mocha = path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
  const [file = '', ...rest] = wrap([process.execPath, mocha, ...args]);
  const child = spawn(file, rest, {
    cwd: root,
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const passed = Number(/^(\d+) passed, 0 failed/m.exec(said)?.[1] ?? 0);
  return { status: status ?? undefined, passed, said };
}
