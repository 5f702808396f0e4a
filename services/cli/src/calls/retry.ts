import { status } from '@grpc/grpc-js';
import type { CliClock } from '../surroundings.ts';
import { CallError } from './call-error.ts';

/**
 * When a call is tried again (docs/cli.md says the same): only after UNAVAILABLE and RESOURCE_EXHAUSTED, which say
 * that nothing was stored or that sending again changes nothing, as every write here carries its own id.
 */
export const retryPolicy = {
  /**
   * For how long a call that fails is tried again, from its first failure in a row on. A service with one process is
   * away for some seconds while that restarts, and for longer after its machine was lost.
   */
  giveUpAfterMs: 120_000,
  /** The first pause; it doubles each time, and half of it is random so that clients do not come in step. */
  firstDelayMs: 100,
  delayMaxMs: 5_000,
  /** A server may ask for a longer pause (RetryInfo), but for no longer than this. */
  askedDelayMaxMs: 30_000,
  /** How long a send goes on doing what a server asks for, RESOURCE_EXHAUSTED and a pause, without any success. */
  patienceMs: 15 * 60_000,
} as const;

export interface RetryMeans {
  readonly clock: CliClock;
  readonly randomFraction: () => number;
  readonly signal: AbortSignal;
  /** Told before each pause. */
  readonly onRetry?: (retry: Retry) => void;
}

/** A call failed and will be tried again. */
export interface Retry extends FailuresInARow {
  readonly error: CallError;
}

/** How often a call has failed without any success, and since when. */
export interface FailuresInARow {
  readonly count: number;
  readonly forMs: number;
}

/** How long to wait before the next attempt, or undefined when the error is final. */
export function retryDelayMs(
  error: unknown,
  { count, forMs }: FailuresInARow,
  fraction: number,
): number | undefined {
  if (!isRetryable(error) || forMs >= retryPolicy.giveUpAfterMs) return undefined;
  const asked = error.details.retryDelayMs;
  if (asked !== undefined) return Math.min(asked, retryPolicy.askedDelayMaxMs);
  const full = Math.min(retryPolicy.firstDelayMs * 2 ** (count - 1), retryPolicy.delayMaxMs);
  return full / 2 + (full / 2) * fraction;
}

function isRetryable(error: unknown): error is CallError {
  if (!(error instanceof CallError)) return false;
  if (error.code === status.UNAVAILABLE) return true;
  // Without a word of ours, RESOURCE_EXHAUSTED is the transport's "message too large": it will be as large again.
  const { retryDelayMs: asked, reason } = error.details;
  const isOurs = asked !== undefined || reason !== undefined;
  return error.code === status.RESOURCE_EXHAUSTED && isOurs;
}

/** A pause that the server asked for. */
export interface AskedWait {
  readonly delayMs: number;
  /** What the server says of it; names the limit that was reached. */
  readonly message: string;
}

/** The retries of something long that makes progress in between: a send, a watch. */
export interface PatientRetries {
  /** The server answered: whatever fails from now on is the first failure. */
  succeeded(): void;
  /** Waits until the next attempt is due; throws the error when it is final. */
  pause(error: unknown): Promise<void>;
}

/**
 * As the policy says, but for two errors. A server that is full and says for how long is no failure: the send slows
 * down. And a stream that has outlived its access token is opened again with a new one.
 */
export function createPatientRetries(
  means: RetryMeans,
  onAskedToWait: (wait: AskedWait) => void = () => undefined,
): PatientRetries {
  const row = createRow(means);
  let waitedMs = 0;
  let hasSucceeded = false;
  return {
    succeeded: () => {
      row.end();
      waitedMs = 0;
      hasSucceeded = true;
    },
    pause: async (error) => {
      const hadSucceeded = hasSucceeded;
      hasSucceeded = false;
      if (isExpiry(error) && hadSucceeded) return;
      if (isFullForNow(error) && waitedMs < retryPolicy.patienceMs) {
        row.end();
        await row.pause(error, (delayMs) => {
          waitedMs += delayMs;
          onAskedToWait({ delayMs, message: error.message });
        });
        row.end();
      } else await row.pause(error);
    },
  };
}

function isFullForNow(error: unknown): error is CallError {
  return (
    error instanceof CallError &&
    error.code === status.RESOURCE_EXHAUSTED &&
    error.details.retryDelayMs !== undefined
  );
}

function isExpiry(error: unknown): boolean {
  return error instanceof CallError && error.details.reason === 'TOKEN_EXPIRED';
}

/** Calls until it succeeds or the policy says that it will not. */
export async function withRetry<Result>(
  means: RetryMeans,
  call: () => Promise<Result>,
): Promise<Result> {
  const row = createRow(means);
  for (;;) {
    try {
      return await call();
    } catch (error) {
      await row.pause(error);
    }
  }
}

/** Counts failures without a success in between, and waits after each; throws the one that is final. */
function createRow({ clock, randomFraction, signal, onRetry }: RetryMeans) {
  let count = 0;
  let beganMs = 0;
  return {
    pause: async (error: unknown, onPause?: (delayMs: number) => void) => {
      const nowMs = clock.monotonicMs();
      if (count === 0) beganMs = nowMs;
      count += 1;
      const failures = { count, forMs: nowMs - beganMs };
      const delayMs = retryDelayMs(error, failures, randomFraction());
      if (delayMs === undefined) throw error;
      if (error instanceof CallError) onRetry?.({ error, ...failures });
      onPause?.(delayMs);
      await clock.sleep(delayMs, signal);
    },
    /** What fails next is the first. */
    end: () => {
      count = 0;
    },
  };
}
