import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { type PendingStats, pendingStats } from '../outbox/enqueue.ts';
import type { EventStoreSchema } from './tables.ts';

/** How much may wait for the log; whichever is reached first refuses appends. */
export interface PendingLimits {
  /** Outbox rows. */
  readonly pendingRowsMax: number;
  /** Bytes of their records. */
  readonly pendingBytesMax: number;
  /** How long the oldest of them may have waited, milliseconds. */
  readonly pendingAgeMaxMs: number;
}

/** What an append is going to add, about: sealing and what the service adds itself are not known before. */
export interface AppendSize {
  readonly events: number;
  readonly bytes: number;
}

export interface BackPressure {
  /**
   * Takes room for an append; `leave` once it is committed or has failed. Throws TOO_MUCH_PENDING, with a delay and the
   * limit that was reached, while the relay is too far behind.
   */
  enter(size: AppendSize): Promise<{ leave(): void }>;
}

/** The outbox is counted this often while there is room, and at most this often while there is none. */
const lookEveryMs = 1_000;
const lookAgainMs = 250;
const retryDelayMs = 2_000;

interface Look {
  readonly stats: PendingStats;
  readonly atMs: number;
}

/**
 * Refuses appends while more waits than the limits allow. Between two looks this process counts what it let in itself,
 * so that it never goes over a limit by more than what the services add to the events of the batches in flight; other
 * processes on the same outbox are seen at the next look.
 */
export function createBackPressure(
  { db, clock }: { readonly db: Kysely<EventStoreSchema>; readonly clock: Clock },
  topic: string,
  limits: PendingLimits,
): BackPressure {
  let last: Look | undefined;
  let looking: Promise<Look> | undefined;
  /** Of appends that are in flight, and of those that ended since the last look began: it may have missed them. */
  const inFlight = { events: 0, bytes: 0 };
  const ended = { events: 0, bytes: 0 };

  const lookOnce = async (): Promise<Look> => {
    const before = { ...ended };
    Object.assign(ended, { events: 0, bytes: 0 });
    try {
      const stats = await pendingStats(db, topic, limits.pendingRowsMax);
      last = { stats, atMs: clock.monotonicMs() };
      return last;
    } catch (error) {
      add(ended, before, 1);
      throw error;
    }
  };
  const look = async (): Promise<Look> => {
    looking ??= lookOnce().finally(() => (looking = undefined));
    return await looking;
  };
  const isOlderThan = (ms: number): boolean =>
    last === undefined || clock.monotonicMs() - last.atMs >= ms;
  const reached = (size: AppendSize, { stats }: Look): string | undefined => {
    const rows = stats.rows + inFlight.events + ended.events;
    if (rows + size.events > limits.pendingRowsMax) return 'rows';
    const bytes = stats.bytes + inFlight.bytes + ended.bytes;
    if (bytes + size.bytes > limits.pendingBytesMax) return 'bytes';
    const oldest = stats.oldestRecordedAtMs;
    const isTooOld = oldest !== undefined && clock.nowMs() - oldest > limits.pendingAgeMaxMs;
    return isTooOld ? 'age' : undefined;
  };

  return {
    enter: async (size) => {
      let limit = reached(
        size,
        last === undefined || isOlderThan(lookEveryMs) ? await look() : last,
      );
      // What was let in since the last look may be on the log by now.
      if (limit !== undefined && isOlderThan(lookAgainMs)) limit = reached(size, await look());
      if (limit !== undefined) throw tooMuchPending(limit);
      add(inFlight, size, 1);
      return {
        leave: () => {
          add(inFlight, size, -1);
          add(ended, size, 1);
        },
      };
    },
  };
}

function add(to: { events: number; bytes: number }, { events, bytes }: AppendSize, times: 1 | -1) {
  to.events += times * events;
  to.bytes += times * bytes;
}

function tooMuchPending(limit: string): ServiceError {
  const message = `Too many committed events wait for the log: the limit of their ${limit} is reached.`;
  return new ServiceError('TOO_MUCH_PENDING', message, { retryDelayMs, limit });
}
