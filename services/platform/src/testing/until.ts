import { AssertionError } from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** Waits for what other loops bring about; gives up after `withinMs`, so that a failing test ends. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > endMs) {
      throw new AssertionError({ message: `not so within ${withinMs} ms: ${String(condition)}` });
    }
    await delay(2);
  }
}
