import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createWakeable, type Wakeable } from '@lethe/platform/lifecycle/wakeable.ts';

/** Who waits in this process for changes of which erasure. */
export interface Watchers {
  /** Wakes at every change until `leave` is called. */
  join(erasureId: ErasureId): { readonly wakeable: Wakeable; readonly leave: () => void };
  notify(erasureId: ErasureId): void;
}

export function createWatchers(clock: Clock): Watchers {
  const waiting = new Map<ErasureId, Set<Wakeable>>();
  return {
    join: (erasureId) => {
      const wakeable = createWakeable(clock);
      const others = waiting.get(erasureId) ?? new Set();
      waiting.set(erasureId, others.add(wakeable));
      const leave = (): void => {
        others.delete(wakeable);
        if (others.size === 0) waiting.delete(erasureId);
      };
      return { wakeable, leave };
    },
    notify: (erasureId) => {
      for (const wakeable of waiting.get(erasureId) ?? []) wakeable.wake();
    },
  };
}
