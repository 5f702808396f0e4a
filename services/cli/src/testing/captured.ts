import { createStyle } from '../output/style.ts';
import { runCli } from '../program.ts';
import type { CliClock, Surroundings } from '../surroundings.ts';

/** A clock that jumps: sleeping takes no time, so no test waits. */
export function createJumpingClock(
  startMs = Date.UTC(2024, 7, 1),
): CliClock & { sleptMs: number[] } {
  let nowMs = startMs;
  const sleptMs: number[] = [];
  return {
    sleptMs,
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (durationMs, signal) => {
      signal?.throwIfAborted();
      sleptMs.push(durationMs);
      nowMs += durationMs;
      await Promise.resolve();
    },
  };
}

/** What a command wrote. */
export interface Captured {
  readonly surroundings: Surroundings;
  readonly out: () => string;
  readonly err: () => string;
}

/** Surroundings without a terminal whose output is kept; `answers` are what a human would type. */
export function captureSurroundings(
  wish: Partial<Surroundings> & { readonly answers?: readonly string[] } = {},
): Captured {
  const out: string[] = [];
  const err: string[] = [];
  const answers = [...(wish.answers ?? [])];
  const surroundings: Surroundings = {
    terminal: {
      out: (text) => {
        out.push(text);
      },
      outDrained: async (text) => {
        out.push(text);
        await Promise.resolve();
      },
      err: (text) => {
        err.push(text);
      },
      isOutTerminal: false,
      isErrTerminal: false,
      columns: 100,
      errColumns: 100,
      outStyle: createStyle(false),
      errStyle: createStyle(false),
      ask:
        wish.answers === undefined
          ? undefined
          : async () => await Promise.resolve(answers.shift() ?? ''),
    },
    clock: wish.clock ?? { ...createJumpingClock(), nowMs: () => Date.now() },
    randomFraction: () => 0.5,
    randomUuid: () => '0192f0c4-1b2a-7c3d-8e4f-5a6b7c8d9e0f',
    commandName: wish.commandName ?? 'lethe',
    accessToken: wish.accessToken,
    childEnvironment: {},
    signal: wish.signal ?? new AbortController().signal,
  };
  return { surroundings, out: () => out.join(''), err: () => err.join('') };
}

/** Runs one command line and answers all that it left behind. */
export async function runCaptured(
  argv: readonly string[],
  wish: Parameters<typeof captureSurroundings>[0] = {},
): Promise<{ readonly exitCode: number; readonly out: string; readonly err: string }> {
  const captured = captureSurroundings(wish);
  const exitCode = await runCli(argv, captured.surroundings);
  return { exitCode, out: captured.out(), err: captured.err() };
}
