import type { Clock } from '../lifecycle/clock.ts';

/** A clock that moves when told; both of its hands can be moved apart. */
export interface HandClock extends Clock {
  advance(durationMs: number): void;
  /** The wall clock alone jumps, forward or back; the monotonic one goes on. */
  jumpWall(durationMs: number): void;
  /** The monotonic clock alone advances, as when the wall clock was set back meanwhile. */
  advanceMonotonic(durationMs: number): void;
}

/** `sleep` as the machine's clock has it where loops must turn; by default whoever sleeps goes on at once. */
export function createHandClock(
  startMs = Date.UTC(2026, 4, 4),
  sleep: Clock['sleep'] = async () => {},
): HandClock {
  let wallMs = startMs;
  let monotonicMs = 1_000;
  return {
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    sleep,
    advance: (durationMs) => {
      wallMs += durationMs;
      monotonicMs += durationMs;
    },
    jumpWall: (durationMs) => {
      wallMs += durationMs;
    },
    advanceMonotonic: (durationMs) => {
      monotonicMs += durationMs;
    },
  };
}
