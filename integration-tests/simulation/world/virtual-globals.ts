import type { Random } from '../core/random.ts';

/**
 * While `work` runs, `Math.random` (jitter of retries) follows the seed, and `setInterval` does nothing: the key
 * client's sweep decides nothing, and in a simulation it would outlive its process. Errors have no stack: every wake-up
 * makes one. All are put back whatever happens.
 */
export async function withVirtualGlobals<Result>(
  random: Random,
  work: () => Promise<Result>,
): Promise<Result> {
  const kept = {
    random: Math.random,
    setInterval: globalThis.setInterval,
    stackTraceLimit: Error.stackTraceLimit,
  };
  Error.stackTraceLimit = 0;
  Math.random = () => random.next();
  const noTimer = { unref: () => noTimer, ref: () => noTimer };
  globalThis.setInterval = (() => noTimer) as unknown as typeof globalThis.setInterval;
  try {
    return await work();
  } finally {
    Math.random = kept.random;
    globalThis.setInterval = kept.setInterval;
    Error.stackTraceLimit = kept.stackTraceLimit;
  }
}
