import { status } from '@grpc/grpc-js';
import type { CliClock } from '../surroundings.ts';
import { CallError } from './call-error.ts';

/**
 * When a call is tried again (docs/cli.md says the same): only after UNAVAILABLE and RESOURCE_EXHAUSTED, which say
 * that nothing was stored or that sending again changes nothing, as every write here carries its own id.
 */
export const retryPolicy = {
  /** Tries in a row without any success, the first included. */
  attemptsMax: 6,
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
}

/** How long to wait before attempt number `attempt` + 1, or undefined when the error is final. */
export function retryDelayMs(
  error: unknown,
  attempt: number,
  fraction: number,
): number | undefined {
  if (!(error instanceof CallError) || attempt >= retryPolicy.attemptsMax) return undefined;
  if (error.code !== status.UNAVAILABLE && error.code !== status.RESOURCE_EXHAUSTED)
    return undefined;
  const asked = error.details.retryDelayMs;
  // Without a word of ours, RESOURCE_EXHAUSTED is the transport's "message too large": it will be as large again.
  if (
    error.code === status.RESOURCE_EXHAUSTED &&
    asked === undefined &&
    error.details.reason === undefined
  ) {
    return undefined;
  }
  if (asked !== undefined) return Math.min(asked, retryPolicy.askedDelayMaxMs);
  const full = Math.min(retryPolicy.firstDelayMs * 2 ** (attempt - 1), retryPolicy.delayMaxMs);
  return full / 2 + (full / 2) * fraction;
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
  let attempt = 1;
  let waitedMs = 0;
  let hasSucceeded = false;
  return {
    succeeded: () => {
      attempt = 1;
      waitedMs = 0;
      hasSucceeded = true;
    },
    pause: async (error) => {
      const hadSucceeded = hasSucceeded;
      hasSucceeded = false;
      if (isExpiry(error) && hadSucceeded) return;
      const isAsked = isFullForNow(error) && waitedMs < retryPolicy.patienceMs;
      const delayMs = retryDelayMs(error, isAsked ? 1 : attempt, means.randomFraction());
      if (delayMs === undefined) throw error;
      if (isAsked) {
        waitedMs += delayMs;
        onAskedToWait({ delayMs, message: error.message });
      } else attempt += 1;
      await means.clock.sleep(delayMs, means.signal);
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
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const delayMs = retryDelayMs(error, attempt, means.randomFraction());
      if (delayMs === undefined) throw error;
      await means.clock.sleep(delayMs, means.signal);
    }
  }
}
