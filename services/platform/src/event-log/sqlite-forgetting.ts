import { failureFields } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import type { SqliteStore } from './sqlite-store.ts';

/** How long erased bytes may stay in the write-ahead log of a log that is never quiet. */
const forgetWithinMs = 5_000;

export interface Forgetting {
  readonly loop: Loop;
  appended(hadTombstones: boolean): void;
}

/** Empties the write-ahead log after tombstones, when the log is quiet; at once when it has just been opened. */
export function createForgetting(
  store: SqliteStore,
  clock: Clock,
  logger: Logger,
  idleMs: number,
): Forgetting {
  // A process that died between a tombstone and its checkpoint left old bytes in the write-ahead log.
  let dueSinceMs: number | undefined = -Infinity;
  let lastAppendMs = -Infinity;
  const loop = createLoop({
    name: `event log ${store.path} cannot empty its write-ahead log`,
    clock,
    pollMs: 60_000,
    run: async (signal) => {
      if (dueSinceMs === undefined) return 'idle';
      const nowMs = clock.monotonicMs();
      const quietInMs = lastAppendMs + idleMs - nowMs;
      if (quietInMs > 0 && nowMs < dueSinceMs + forgetWithinMs) {
        await clock.sleep(quietInMs, signal);
        return 'again';
      }
      if (!store.forget()) {
        throw new ServiceError('STORE_UNAVAILABLE', `event log ${store.path} is being read`);
      }
      dueSinceMs = undefined;
      return 'again';
    },
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'event-log', ...failureFields(error), delayMs },
        'erased bytes stay for now',
      );
    },
  });
  return {
    loop,
    appended: (hadTombstones) => {
      lastAppendMs = clock.monotonicMs();
      if (!hadTombstones) return;
      dueSinceMs ??= lastAppendMs;
      loop.wake();
    },
  };
}
