import type { RetryMeans } from './retry.ts';

/** Lets no more than a rate through, however many ask. */
export interface Pace {
  /** Resolves when `count` more may go; whoever asks first goes first. Rejects with an AbortError at the signal. */
  turn(count: number): Promise<void>;
}

export function createPace(
  perSecond: number,
  { clock, signal }: Pick<RetryMeans, 'clock' | 'signal'>,
): Pace {
  let freeAtMs = clock.monotonicMs();
  return {
    turn: async (count) => {
      const nowMs = clock.monotonicMs();
      // What nobody used is not made up for: after a slow minute of the server comes the rate, not a flood.
      const turnMs = Math.max(freeAtMs, nowMs);
      freeAtMs = turnMs + (count * 1000) / perSecond;
      if (turnMs > nowMs) await clock.sleep(turnMs - nowMs, signal);
    },
  };
}

/** The events in messages of at most `eventsMax`, each when it is its turn. */
export async function* pacedBatches<Event>(
  events: readonly Event[],
  eventsMax: number,
  pace: Pace | undefined,
): AsyncGenerator<{ readonly events: Event[] }> {
  for (let start = 0; start < events.length; start += eventsMax) {
    const batch = events.slice(start, start + eventsMax);
    await pace?.turn(batch.length);
    yield { events: batch };
  }
}
