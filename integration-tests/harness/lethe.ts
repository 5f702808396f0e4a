import { join } from 'node:path';
import { repository } from '../temporary-tree.ts';
import type { Ended, KeptProcess, ProcessKeeper } from './processes.ts';

const cliMain = join(repository, 'services/cli/src/main.ts');

/** What a command left behind. */
export interface LetheResult extends Ended {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningLethe extends KeptProcess {
  readonly result: Promise<LetheResult>;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
}

/** Starts `lethe ARGS` as a user would, without a terminal. */
export function startLethe(
  keeper: ProcessKeeper,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningLethe {
  const kept = keeper.startNode(cliMain, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  kept.child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
  kept.child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  const stdout = () => Buffer.concat(out).toString('utf8');
  const stderr = () => Buffer.concat(err).toString('utf8');
  const result = kept.ended.then((ended) => ({ ...ended, stdout: stdout(), stderr: stderr() }));
  return { ...kept, result, stdout, stderr };
}

/** Runs `lethe ARGS` to its end. */
export async function runLethe(
  keeper: ProcessKeeper,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<LetheResult> {
  return await startLethe(keeper, args, env).result;
}

/** Every line of stdout of a command that was run with --json. */
export function jsonLines<Line>({ stdout }: LetheResult): Line[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

/** The one line of stdout of a command that was run with --json. */
export function jsonLine<Line>(result: LetheResult): Line {
  const [line] = jsonLines<Line>(result);
  if (line === undefined) throw new Error(`no line on stdout; stderr: ${result.stderr}`);
  return line;
}

/** What a failed command says on stderr with --json. */
export interface SaidError {
  readonly message: string;
  readonly reason?: string;
  readonly next?: string;
  readonly exitCode: number;
}

export function saidError({ stderr }: LetheResult): SaidError {
  const line = stderr.split('\n').find((text) => text.startsWith('{"error"'));
  if (line === undefined) throw new Error(`no error line on stderr: ${stderr}`);
  return (JSON.parse(line) as { error: SaidError }).error;
}
