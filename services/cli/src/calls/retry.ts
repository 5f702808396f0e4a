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
