import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { pendingStats } from '../outbox/enqueue.ts';
import type { EventStoreSchema } from './tables.ts';

export interface BackPressure {
  /** Throws TOO_MUCH_PENDING, with a delay, while the relay is too far behind. */
  refuseWhenFull(): Promise<void>;
}

/** The outbox is counted at most this often. */
const lookEveryMs = 1_000;
const retryDelayMs = 2_000;

/** Refuses appends while more than `rowsMax` rows of the topic wait for the log; looks once a second. */
export function createBackPressure(
  { db, clock }: { readonly db: Kysely<EventStoreSchema>; readonly clock: Clock },
  topic: string,
  rowsMax: number,
): BackPressure {
  let lookedAtMs: number | undefined;
  let isFull = false;
  return {
    refuseWhenFull: async () => {
      const nowMs = clock.monotonicMs();
      if (lookedAtMs === undefined || nowMs - lookedAtMs >= lookEveryMs) {
        lookedAtMs = nowMs;
        isFull = (await pendingStats(db, topic, rowsMax)).rows >= rowsMax;
      }
      if (isFull) throw new ServiceError('TOO_MUCH_PENDING', undefined, { retryDelayMs });
    },
  };
}
