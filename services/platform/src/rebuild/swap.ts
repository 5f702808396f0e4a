import { type Kysely, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { DatabaseError } from '../database/database-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { takeOverChanges } from './changed-rows.ts';
import { type Differences, readDifferences } from './compare.ts';
import { derivedTables } from './derived-tables.ts';
import { exchangeTables } from './fresh-tables.ts';

export interface Settled {
  readonly changed: number;
  readonly differences: Differences;
}

export interface Swapped extends Settled {
  readonly swapped: boolean;
  readonly exclusiveMs: number;
}

/** How often a swap that lost a deadlock is tried. */
const attemptsMax = 5;
/** With fewer rows than this to take over, the swap goes ahead. */
const fewChanges = 500;
const roundsMax = 20;

/** Takes over what has changed so far and says what differs, on one snapshot, without holding anybody up. */
export async function settle<Schema>(db: Kysely<Schema>): Promise<Settled> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      const changed = await takeOverChanges(tx);
      return { changed, differences: await readDifferences(tx) };
    });
}

/**
 * The exclusive part: under locks that keep readers and writers of these tables out it takes over the last changes,
 * looks once more at the rows that differed, and renames. What remains to be done under the locks is bounded by what
 * changed since the round before, and rounds are repeated until that is little.
 *
 * Dies before the commit: the server rolls back, the live tables are as they were. Dies after it: the fresh tables are
 * the live ones, complete; only names of work are left behind.
 */
export async function swapTables<Schema>(
  db: Kysely<Schema>,
  clock: Clock,
  mayDiffer: boolean,
): Promise<Swapped> {
  let changedBefore = 0;
  for (let round = 1; round <= roundsMax; round += 1) {
    const { changed } = await settle(db);
    changedBefore += changed;
    if (changed < fewChanges) break;
  }
  for (let attempt = 1; ; attempt += 1) {
    const sinceMs = clock.monotonicMs();
    try {
      const { changed, differences, swapped } = await swapOnce(db, mayDiffer);
      const exclusiveMs = clock.monotonicMs() - sinceMs;
      return { changed: changedBefore + changed, differences, swapped, exclusiveMs };
    } catch (error) {
      if (attempt === attemptsMax || !lostDeadlock(error)) throw error;
    }
  }
}

async function swapOnce<Schema>(
  db: Kysely<Schema>,
  mayDiffer: boolean,
): Promise<Settled & { readonly swapped: boolean }> {
  return db.transaction().execute(async (tx) => {
    // Jobs take their own row first and these tables after it.
    await sql`lock table erasure_jobs in exclusive mode`.execute(tx);
    const names = derivedTables.map(({ name }) => sql.table(name));
    await sql`lock table ${sql.join(names)} in access exclusive mode`.execute(tx);
    const changed = await takeOverChanges(tx);
    const differences = await readDifferences(tx);
    const swapped = differences.total === 0 || mayDiffer;
    if (swapped) await exchangeTables(tx);
    return { changed, differences, swapped };
  });
}

/** Class 40: the server chose this transaction to break a circle of waiting. */
function lostDeadlock(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return cause instanceof DatabaseError && cause.sqlState.startsWith('40');
}
