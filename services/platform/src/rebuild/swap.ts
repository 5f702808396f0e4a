import type { Kysely, Transaction } from 'kysely';
import type { Clock } from '../lifecycle/clock.ts';
import { noteFencedSuspects, takeOverChanges } from './changed-rows.ts';
import { type Differences, readDifferences } from './compare.ts';
import { exchangeTables } from './fresh-tables.ts';
import { withTablesLocked } from './table-locks.ts';

export interface Settled {
  readonly changed: number;
  readonly differences: Differences;
}

export interface Swapped extends Settled {
  readonly swapped: boolean;
  readonly exclusiveMs: number;
}

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
 * looks once more at the rows that differed and at the fences of these, and renames. What remains to be done under the locks is bounded by what
 * changed since the round before, and rounds are repeated until that is little.
 *
 * Dies before the commit: the server rolls back, the live tables are as they were. Dies after it: the fresh tables are
 * the live ones, complete; only names of work are left behind.
 */
export async function swapTables<Schema>(
  db: Kysely<Schema>,
  clock: Clock,
  streamKind: 'ticket' | 'person',
  mayDiffer: boolean,
): Promise<Swapped> {
  let changedBefore = 0;
  for (let round = 1; round <= roundsMax; round += 1) {
    const { changed } = await settle(db);
    changedBefore += changed;
    if (changed < fewChanges) break;
  }
  const sinceMs = clock.monotonicMs();
  const { changed, differences, swapped } = await withTablesLocked(db, clock, 'all', (tx) =>
    swapLocked(tx, streamKind, mayDiffer),
  );
  const exclusiveMs = clock.monotonicMs() - sinceMs;
  return { changed: changedBefore + changed, differences, swapped, exclusiveMs };
}

async function swapLocked<Schema>(
  tx: Transaction<Schema>,
  streamKind: 'ticket' | 'person',
  mayDiffer: boolean,
): Promise<Settled & { readonly swapped: boolean }> {
  await noteFencedSuspects(tx, streamKind);
  const changed = await takeOverChanges(tx);
  const differences = await readDifferences(tx);
  const swapped = differences.total === 0 || mayDiffer;
  if (swapped) await exchangeTables(tx);
  return { changed, differences, swapped };
}
