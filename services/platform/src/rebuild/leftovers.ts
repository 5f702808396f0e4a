import type { Kysely } from 'kysely';
import { withLockSession } from '../database/lock-session.ts';
import { failureFields } from '../errors/failure.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import { rebuildLock } from './derived-tables.ts';
import { hasWork, removeWork } from './fresh-tables.ts';

export interface LeftoverPorts {
  readonly db: Kysely<EventStoreSchema>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const pollMs = 60_000;
/** A dump may hold the tables for hours: nobody who writes is to notice how often we ask for them. */
const triesForMs = 2_000;

/**
 * Takes away what a rebuild left that could not: its process died, or its connection broke. At the start of a service
 * and every minute after it, since the other processes of the service live on and pay for the triggers; nobody waits
 * for it. Under a lock that somebody holds for long, such as a dump, it gives up after two seconds and comes again.
 */
export function createRebuildLeftovers({ db, clock, logger }: LeftoverPorts): Loop {
  return createLoop({
    name: 'rebuild-leftovers',
    clock,
    pollMs,
    run: async () => {
      if (await removeRebuildWork(db, clock)) {
        logger.info({ component: 'rebuild' }, 'removed the work of an unfinished rebuild');
      }
      return 'idle';
    },
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'rebuild', ...failureFields(error), delayMs },
        'work of an unfinished rebuild stays',
      );
    },
    backoffMs: { first: 15_000, max: 5 * pollMs },
  });
}

/** Removes what a rebuild left that is over; answers whether there was anything. */
export async function removeRebuildWork(
  db: Kysely<EventStoreSchema>,
  clock: Clock,
): Promise<boolean> {
  // Nearly always nothing: then there is no need for a connection of our own.
  if (!(await hasWork(db))) return false;
  return withLockSession(db, async (session) => {
    // Another process of this service may be in the middle of one.
    if (!(await session.tryLock(rebuildLock))) return false;
    return removeWork(session.db, clock, triesForMs);
  });
}
