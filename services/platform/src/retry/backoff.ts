/** Delays between attempts: doubling from the first to a bound. */
export interface Backoff {
  /** How long to wait before the next attempt, milliseconds; counts the failure. */
  next(): number;
  /** Failures since the last success. */
  failures(): number;
  /** After a success. */
  reset(): void;
}

export function createBackoff(firstMs: number, maxMs: number): Backoff {
  let failures = 0;
  return {
    next: () => {
      const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30));
      failures += 1;
      return delayMs;
    },
    failures: () => failures,
    reset: () => {
      failures = 0;
    },
  };
}
