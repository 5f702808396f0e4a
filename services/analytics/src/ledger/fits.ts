import type { ClickHouseClient } from '@clickhouse/client';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { RepairFinding, RepairWish } from '@lethe/platform/repair/port.ts';
import type { AnalyticsDatabase } from '../store.ts';
import { refused } from './clickhouse-error.ts';
import { compareLedger, deleteUnknownRows, insertAgain, type LedgerMismatch } from './reconcile.ts';
import { ledgerDatabase } from './table-ddl.ts';

/**
 * Whether database and ledger are of one time, before anything is counted: one that was restored from an older copy would
 * count events twice, or lack some. Throws LEDGER_AHEAD_OF_TABLE, LEDGER_BEHIND_TABLE.
 */
export async function assertLedgerFits(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
): Promise<void> {
  const { unknown, missing } = await compareTwice(db, client).catch(refused);
  if (unknown.length > 0) {
    const message = `The ledger holds rows of ${unknown.length} chunks that the database does not know: it lost commits, or is older than the ledger.`;
    throw new ServiceError('LEDGER_AHEAD_OF_TABLE', message);
  }
  if (missing.length > 0) {
    const message = `The ledger has nothing of ${missing.length} chunks that the database knows to be in it: it was lost, or is older than the database.`;
    throw new ServiceError('LEDGER_BEHIND_TABLE', message);
  }
}

/**
 * Another process may count meanwhile: a chunk is committed before its rows are inserted, so none of its is unknown; one
 * that is done between the look at the ledger and the one at the database is missing once, and not twice.
 */
async function compareTwice(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
): Promise<Pick<LedgerMismatch, 'unknown' | 'missing'>> {
  const first = await compareLedger(db, client, ledgerDatabase);
  if (first.missing.length === 0) return first;
  const second = await compareLedger(db, client, ledgerDatabase);
  const still = new Set(second.missing);
  return { ...first, missing: first.missing.filter((manifestId) => still.has(manifestId)) };
}

/** Compares the ledger with the manifests, and mends it. No process of analytics runs. */
export async function repairLedger(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
  { mends }: RepairWish,
): Promise<readonly RepairFinding[]> {
  const { unknown, incomplete } = await compareLedger(db, client, ledgerDatabase).catch(refused);
  const found: RepairFinding[] = [];
  const add = async (what: string, action: string, mend: () => Promise<void>): Promise<void> => {
    if (mends) await mend();
    found.push({ state: mends ? 'mended' : 'mendable', what, action });
  };
  if (unknown.length > 0) {
    await add(
      `ledger: rows of ${unknown.length} chunks that the database does not know`,
      'delete them; their events are counted again from the log',
      async () => await deleteUnknownRows(client, ledgerDatabase, unknown),
    );
  }
  if (incomplete.length > 0) {
    await add(
      `ledger: ${incomplete.length} chunks whose rows are not all there`,
      'the next start inserts them again from their manifests',
      async () => await insertAgain(db, incomplete),
    );
  }
  return found;
}
