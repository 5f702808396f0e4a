import type { LedgerInsert } from '../domain/ledger-rows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  type AnalyticsDatabase,
  insertsOfManifest,
  markManifestDone,
  pendingManifests,
} from '../store.ts';

export interface InsertPorts {
  readonly db: AnalyticsDatabase;
  readonly ledger: Pick<Ledger, 'insert'>;
}

/** How many pending manifests are finished before the next chunk. */
export const manifestsPerPage = 100;

/**
 * Inserts the rows of a committed manifest and marks it done.
 * - Dies before or between the inserts: the manifest is pending and all of it is inserted again; a row that was there
 *   already is replaced by itself.
 * - Dies before the mark: the same.
 */
export async function finishManifest(
  { db, ledger }: InsertPorts,
  manifestId: string,
  inserts: readonly LedgerInsert[],
): Promise<void> {
  for (const insert of inserts) await ledger.insert(insert);
  await markManifestDone(db, manifestId);
}

/**
 * Finishes the oldest of what was committed and perhaps not inserted: at the start, after a failure, and of owners that
 * died. It inserts the stored bytes and folds nothing. Two owners may finish the same manifest at once without harm.
 * Answers how many, a page at most.
 */
export async function finishPendingManifests(ports: InsertPorts): Promise<number> {
  const page = await pendingManifests(ports.db, manifestsPerPage);
  for (const manifestId of page) {
    await finishManifest(ports, manifestId, await insertsOfManifest(ports.db, manifestId));
  }
  return page.length;
}
