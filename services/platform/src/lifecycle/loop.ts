import { failureText } from '../errors/failure.ts';
import { createBackoff } from '../retry/backoff.ts';
import type { Clock } from './clock.ts';
import { createWakeable, sleepQuietly } from './wakeable.ts';

export interface LoopOptions {
  /** For `problem()`. */
  readonly name: string;
  readonly clock: Clock;
  /** How long to rest when there was nothing to do and nobody calls `wake`. */
  readonly pollMs: number;
  /**
   * One round; answers whether more work is known to wait. Must be safe to repeat. A round that goes on for long calls
   * `goesWell` once what failed before works again: then too there is no problem any more.
   */
  readonly run: (signal: AbortSignal, goesWell: () => void) => Promise<'again' | 'idle'>;
  /** Told about every failed round and the delay before the next. */
  readonly onError: (error: unknown, delayMs: number) => void;
  /** Delay after the first failure, and the bound of its doubling. Default 200 ms and 15 s. */
  readonly backoffMs?: { readonly first: number; readonly max: number };
}

/** Work that is done in rounds: when woken, else every now and then. */
export interface Loop {
  start(): void;
  /** Ends after the round in progress; idempotent. */
  stop(): Promise<void>;
  /** There is something to do; may be called at any time, also before `start`. */
  wake(): void;
  /** Set after five failures in a row, until a round succeeds. */
  problem(): string | undefined;
}

const failuresToReport = 5;

export function createLoop(options: LoopOptions): Loop {
  const { clock, pollMs, run, onError } = options;
  const backoff = createBackoff(options.backoffMs?.first ?? 200, options.backoffMs?.max ?? 15_000);
  const wakeable = createWakeable(clock);
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  let problem: string | undefined;

  const goesWell = (): void => {
    backoff.reset();
    problem = undefined;
  };
  const round = async (): Promise<void> => {
    try {
      const outcome = await run(stopping.signal, goesWell);
      goesWell();
      if (outcome === 'idle') await wakeable.wait(pollMs, stopping.signal);
    } catch (error) {
      if (stopping.signal.aborted) return;
      const delayMs = backoff.next();
      if (backoff.failures() >= failuresToReport) {
        problem = `${options.name}: ${failureText(error)}`;
      }
      onError(error, delayMs);
      await sleepQuietly(clock, delayMs, stopping.signal);
    }
  };
  const runUntilStopped = async (): Promise<void> => {
    while (!stopping.signal.aborted) await round();
  };
  return {
    start: () => {
      running ??= runUntilStopped();
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
    wake: () => wakeable.wake(),
    problem: () => problem,
  };
}
