import type { Clock } from '../lifecycle/clock.ts';
import type { ErasureJob } from './erasure-store.ts';

/** After this long a job goes on without analytics, and its receipt says so. */
const waitMaxMs = 60 * 60 * 1000;
/** And not before this process itself has asked for so long. */
const askedMinMs = 10 * 60 * 1000;

/** Whether a job has waited for analytics long enough. */
export interface LedgerWait {
  isOver(job: ErasureJob): boolean;
  /** Remembers these jobs alone; called with those that are still open. */
  keepOnly(erasureIds: ReadonlySet<string>): void;
}

/**
 * A job outlives processes, so its hour is one of the wall clock. That clock may jump by an hour while analytics is a
 * second behind, and what it lacks then is lost to the ledger for good: hence also a time by the clock that never jumps.
 * It is counted from the first question of this process; dying only makes a job wait longer.
 */
export function createLedgerWait(clock: Clock): LedgerWait {
  const askedSinceMs = new Map<string, number>();
  return {
    isOver: ({ erasureId, createdAtMs }) => {
      const nowMs = clock.monotonicMs();
      const sinceMs = askedSinceMs.get(erasureId) ?? nowMs;
      askedSinceMs.set(erasureId, sinceMs);
      return clock.nowMs() - createdAtMs >= waitMaxMs && nowMs - sinceMs >= askedMinMs;
    },
    keepOnly: (erasureIds) => {
      for (const erasureId of askedSinceMs.keys()) {
        if (!erasureIds.has(erasureId)) askedSinceMs.delete(erasureId);
      }
    },
  };
}
