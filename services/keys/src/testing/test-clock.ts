import type { Clock } from '@lethe/platform/lifecycle/clock.ts';

/** A clock that stands still until a test moves it. Sleeps are real, so that loops run. */
export interface TestClock extends Clock {
  /** Both clocks. */
  advance(durationMs: number): void;
}

/** `sleep` as the machine's clock has it. */
export function createTestClock(startMs: number, sleep: Clock['sleep']): TestClock {
  let passedMs = 0;
  return {
    nowMs: () => startMs + passedMs,
    monotonicMs: () => 1_000 + passedMs,
    sleep,
    advance: (durationMs) => {
      passedMs += durationMs;
    },
  };
}
