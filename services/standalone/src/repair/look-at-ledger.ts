import { rename } from 'node:fs/promises';
import path from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import {
  compareLedger,
  deleteUnknownRows,
  insertAgain,
} from '@lethe/analytics/ledger/reconcile.ts';
import { ledgerDatabase } from '@lethe/analytics/ledger/table-ddl.ts';
import type { AnalyticsDatabase } from '@lethe/analytics/store.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { DataFolder } from '../data-folder.ts';
import { openClickHouse } from '../stores.ts';
import type { Mendable } from './finding.ts';
import type { Aside } from './look-at-files.ts';

/**
 * Compares the ledger with the manifests, and hands what was found to `settle` while it is open: a process opens it once.
 * One that cannot be opened is made anew from the manifests.
 */
export async function withLedger(
  folder: DataFolder,
  db: AnalyticsDatabase,
  aside: Aside,
  settle: (found: readonly Mendable[]) => Promise<unknown>,
): Promise<void> {
  let client: ClickHouseClient;
  try {
    client = await openClickHouse(folder);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    await settle([damagedLedger(folder, db, aside)]);
    return;
  }
  try {
    await settle(await lookAtRows(db, client));
  } finally {
    await client.close();
  }
}

async function lookAtRows(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
): Promise<readonly Mendable[]> {
  const { unknown, incomplete } = await compareLedger(db, client, ledgerDatabase);
  const found: Mendable[] = [];
  if (unknown.length > 0) {
    found.push({
      store: 'ledger',
      what: `rows of ${unknown.length} chunks that the database does not know`,
      action: 'delete them: their events are counted again from the log',
      mend: async () => {
        await deleteUnknownRows(client, ledgerDatabase, unknown);
        return `deleted the rows of ${unknown.length} chunks; their events are counted again`;
      },
    });
  }
  if (incomplete.length > 0) {
    found.push({
      store: 'ledger',
      what: `${incomplete.length} chunks whose rows are not all there`,
      action: 'insert them again from their manifests at the next start',
      mend: async () => {
        await insertAgain(db, incomplete);
        return `the next start inserts ${incomplete.length} chunks again`;
      },
    });
  }
  return found;
}

function damagedLedger({ clickhouse }: DataFolder, db: AnalyticsDatabase, aside: Aside): Mendable {
  return {
    store: 'ledger',
    what: 'the embedded ClickHouse cannot be opened',
    action:
      'keep it aside; the next start makes it anew from the manifests, which hold all its rows',
    mend: async () => {
      const kept = aside(clickhouse);
      await insertAgain(db, 'all');
      await rename(clickhouse, kept);
      return `kept the damaged ledger as ${path.basename(kept)}; the next start makes it anew`;
    },
  };
}
