import type { ClickHouseClient } from '@clickhouse/client';
import { compareLedger } from '@lethe/analytics/ledger/reconcile.ts';
import { ledgerDatabase } from '@lethe/analytics/ledger/table-ddl.ts';
import type { AnalyticsSchema } from '@lethe/analytics/store.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { readLogEnds } from '@lethe/platform/event-log/sqlite-repair.ts';
import { readCounters } from '@lethe/platform/outbox/repair.ts';
import { topics } from '@lethe/proto/topics.ts';
import type { DataFolder } from './data-folder.ts';

/**
 * Looks whether the stores of a folder are of one time, before any service works on them: one that was restored from
 * an older copy, or that lost its last commits, does not fit the others. Throws LOG_AHEAD_OF_TABLE, SEQUENCE_GAP,
 * LEDGER_AHEAD_OF_TABLE or LEDGER_BEHIND_TABLE, which `lethe repair` mends.
 */
export async function assertStoresFit(
  { eventLog }: DataFolder,
  {
    databases,
    clickHouse,
  }: { readonly databases: Databases; readonly clickHouse: ClickHouseClient },
): Promise<void> {
  await assertLogFits(eventLog, databases);
  const db = databases.database<AnalyticsSchema>('analytics');
  const { unknown, missing } = await compareLedger(db, clickHouse, ledgerDatabase);
  if (unknown.length > 0) {
    const message = `The ledger holds rows of ${unknown.length} chunks that the database does not know: it lost commits, or is older than the ledger.`;
    throw new ServiceError('LEDGER_AHEAD_OF_TABLE', message);
  }
  if (missing.length > 0) {
    const message = `The ledger has nothing of ${missing.length} chunks that the database knows to be in it: it was lost, or is older than the database.`;
    throw new ServiceError('LEDGER_BEHIND_TABLE', message);
  }
}

async function assertLogFits(file: string, databases: Databases): Promise<void> {
  const ends = readLogEnds(file);
  for (const { name, owner } of topics) {
    const counters = await readCounters(databases.database(owner), name);
    for (const { topic, partition, lastSequence } of ends) {
      if (topic !== name) continue;
      const counter = counters.find((each) => each.partition === partition);
      const [numbered, published] = [counter?.lastSequence ?? 0n, counter?.lastPublished ?? 0n];
      const at = `${name}/${partition}: the log ends at sequence ${lastSequence}`;
      if (lastSequence > numbered) {
        throw new ServiceError('LOG_AHEAD_OF_TABLE', `${at}, the table has given ${numbered}`);
      }
      if (lastSequence < published) {
        const message = `${at}, ${published} were published: the log lost records, or is older than the database`;
        throw new ServiceError('SEQUENCE_GAP', message);
      }
    }
  }
}
