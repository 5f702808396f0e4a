import { type Kysely, sql, type Transaction } from 'kysely';
import { DatabaseError } from '../database/database-error.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { derivedTables } from './derived-tables.ts';

/** `writers`: nobody writes these tables meanwhile. `all`: nobody reads them either. */
export type KeptOut = 'writers' | 'all';

const modes = {
  writers: 'share row exclusive',
  all: 'access exclusive',
} as const satisfies Record<KeptOut, string>;

/** Whoever comes while we wait for the first table waits behind us: no longer than this, whatever the connection's own. */
const firstWaitMaxMs = 500;
/** A rebuild's statements may take long, but not while everybody waits. */
const statementMaxMs = 30_000;
/** As long as that wait, so that the others have half of the time at least. */
const pauseMs = 500;
const pauseAfterRefusalMs = 20;
const triesForDefaultMs = 20_000;

/** SQLSTATE of a lock that somebody else has. */
const lockNotAvailable = '55P03';

/**
 * Runs `work` in a transaction that has locked all derived tables. Other transactions take them in orders of their own
 * (an append begins with streams, an erasure ends with them, a single statement goes by its joins), so this one waits
 * for the first while it holds nothing, and for none of the others: when one of those is not free, it lets go and tries
 * again. So it is never part of a circle. A reader that goes on for long, such as a dump, keeps it from the first: it
 * lets the others by now and then, and throws STORE_UNAVAILABLE when it had no luck for `triesForMs`.
 */
export async function withTablesLocked<Schema, Result>(
  db: Kysely<Schema>,
  clock: Clock,
  keptOut: KeptOut,
  work: (tx: Transaction<Schema>) => Promise<Result>,
  triesForMs = triesForDefaultMs,
): Promise<Result> {
  const sinceMs = clock.monotonicMs();
  for (;;) {
    let hasFirst = false;
    try {
      return await db.transaction().execute(async (tx) => {
        await lockTables(tx, modes[keptOut], () => (hasFirst = true));
        return work(tx);
      });
    } catch (error) {
      if (clock.monotonicMs() - sinceMs >= triesForMs || !wasTaken(error)) throw error;
      await clock.sleep(hasFirst ? pauseAfterRefusalMs : pauseMs);
    }
  }
}

/** Until the transaction ends, none of its statements waits long for a lock. */
export async function limitLockWait<Schema>(tx: Transaction<Schema>): Promise<void> {
  await sql.raw(`set local lock_timeout = ${firstWaitMaxMs}`).execute(tx);
}

async function lockTables<Schema>(
  tx: Transaction<Schema>,
  mode: string,
  onFirst: () => void,
): Promise<void> {
  const [first, ...others] = derivedTables.map(({ name }) => name);
  await limitLockWait(tx);
  await sql.raw(`set local statement_timeout = ${statementMaxMs}`).execute(tx);
  await sql.raw(`lock table ${first} in ${mode} mode`).execute(tx);
  onFirst();
  await sql.raw(`lock table ${others.join(', ')} in ${mode} mode nowait`).execute(tx);
}

function wasTaken(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return cause instanceof DatabaseError && cause.sqlState === lockNotAvailable;
}
