import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls every `everyMs` for `forMs`, whether or not earlier calls were answered; answers what each took, in
 * milliseconds from the moment it was due, so that waiting for a busy process counts.
 */
export async function arriveEvery(
  everyMs: number,
  forMs: number,
  call: () => Promise<void>,
): Promise<readonly number[]> {
  const beganMs = performance.now();
  const arrivals = Math.max(1, Math.floor(forMs / everyMs));
  const calls: Promise<number>[] = [];
  for (let index = 0; index < arrivals; index += 1) {
    const dueMs = beganMs + index * everyMs;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 0) await delay(earlyMs);
    calls.push(call().then(() => performance.now() - dueMs));
  }
  return await Promise.all(calls);
}
