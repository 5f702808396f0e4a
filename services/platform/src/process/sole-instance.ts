import type { Kysely } from 'kysely';
import { withLockSession } from '../database/lock-session.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';

export interface SoleInstance {
  /** Lets the next one in. */
  release(): Promise<void>;
}

export interface SoleInstanceOptions {
  readonly db: Kysely<unknown>;
  readonly clock: Clock;
  /** Another instance has it: told at each look. */
  readonly onWait: () => void;
  /** The connection that holds the lock broke or is another, so another instance may go on: this one must end at once. */
  readonly onLost: (error: unknown) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

const lookEveryMs = 1_000;
const lockName = 'sole instance';

/**
 * For a service of which there may be one process alone, as it holds in memory what others must ask it for: waits until
 * no other process holds the advisory lock of the service's schema, and keeps it. The server frees it when the process
 * dies, so nothing is left behind. Throws when the database cannot be reached, CONFIG_INVALID when
 * a pooler shares its connection, SHUTTING_DOWN when the wait is ended.
 */
export async function becomeSoleInstance(options: SoleInstanceOptions): Promise<SoleInstance> {
  const { db, clock, onWait, onLost, signal } = options;
  const taken = Promise.withResolvers<void>();
  const releasing = new AbortController();
  let isTaken = false;
  const holding = withLockSession(db, async (session) => {
    while (!(await session.tryLock(lockName))) {
      onWait();
      await sleepQuietly(clock, lookEveryMs, signal);
      if (signal.aborted) throw new ServiceError('SHUTTING_DOWN');
    }
    isTaken = true;
    taken.resolve();
    while (!releasing.signal.aborted) {
      await sleepQuietly(clock, lookEveryMs, releasing.signal);
      // On the very connection that holds the lock: fails once the server has freed it or a pooler has changed it.
      await session.assertHeld(lockName);
    }
  });
  holding.catch((error: unknown) => {
    taken.reject(error);
    if (isTaken && !releasing.signal.aborted) onLost(error);
  });
  await taken.promise;
  return {
    release: async () => {
      releasing.abort();
      await Promise.allSettled([holding]);
    },
  };
}
