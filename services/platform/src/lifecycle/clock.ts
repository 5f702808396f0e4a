import { setTimeout as delay } from 'node:timers/promises';

/** Time as a parameter: simulations and tests give their own. */
export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC; may jump. */
  nowMs(): number;
  /** Never goes back; its zero means nothing. */
  monotonicMs(): number;
  /** Resolves after `durationMs` or rejects with an AbortError when the signal fires. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** Cryptographically strong random bytes, as a parameter. */
export type RandomBytes = (sizeBytes: number) => Buffer;

/** The machine's own clocks. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (durationMs, signal) => {
    await delay(durationMs, undefined, signal === undefined ? {} : { signal });
  },
};
