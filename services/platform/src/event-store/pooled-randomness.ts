import type { RandomBytes } from '../lifecycle/clock.ts';

const poolBytes = 4 * 1024;

/**
 * The same randomness, fetched in larger pieces: a call for 12 bytes costs as much as one for 4,096, and a batch seals
 * thousands of boxes. Every byte is handed out once. For one batch: what is left in the pool is forgotten with it.
 */
export function createPooledRandomness(randomBytes: RandomBytes): RandomBytes {
  let pool: Buffer = Buffer.alloc(0);
  return (sizeBytes) => {
    if (sizeBytes > poolBytes) return randomBytes(sizeBytes);
    if (pool.length < sizeBytes) pool = randomBytes(poolBytes);
    const taken = pool.subarray(0, sizeBytes);
    pool = pool.subarray(sizeBytes);
    return taken;
  };
}
