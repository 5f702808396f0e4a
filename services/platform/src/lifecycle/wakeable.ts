import type { Clock } from './clock.ts';
import { joinSignals } from './joined-signal.ts';

/** Something to wait on that others can end early. */
export interface Wakeable {
  /** Ends the wait in progress, or the next one if nobody waits. */
  wake(): void;
  /** Resolves at `wake`, after `durationMs`, or when the signal fires; never rejects. */
  wait(durationMs: number, signal: AbortSignal): Promise<void>;
}

export function createWakeable(clock: Clock): Wakeable {
  let pending = false;
  let end: (() => void) | undefined;
  return {
    wake: () => {
      pending = true;
      end?.();
    },
    wait: async (durationMs, signal) => {
      if (!pending && !signal.aborted) {
        const woken = new AbortController();
        end = () => woken.abort();
        const joined = joinSignals(signal, woken.signal);
        try {
          await sleepQuietly(clock, durationMs, joined.signal);
        } finally {
          joined.release();
          end = undefined;
        }
      }
      pending = false;
    },
  };
}

/** Sleeps until the time is over or the signal fires; an early end is no error here. */
export async function sleepQuietly(
  clock: Clock,
  durationMs: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await clock.sleep(durationMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
