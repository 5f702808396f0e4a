import type { Random } from '../core/random.ts';

/**
 * While `work` runs, `Math.random` (jitter of retries) follows the seed, and `setInterval` does nothing: the key
 * client's sweep decides nothing, and in a simulation it would outlive its process. Both are put back whatever happens.
 */
export async function withVirtualGlobals<Result>(
  random: Random,
  work: () => Promise<Result>,
): Promise<Result> {
  const kept = { random: Math.random, setInterval: globalThis.setInterval };
  Math.random = () => random.next();
  const noTimer = { unref: () => noTimer, ref: () => noTimer };
  globalThis.setInterval = (() => noTimer) as unknown as typeof globalThis.setInterval;
  try {
    return await work();
  } finally {
    Math.random = kept.random;
    globalThis.setInterval = kept.setInterval;
  }
}
