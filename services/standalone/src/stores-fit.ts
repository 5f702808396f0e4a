import type { ClickHouseClient } from '@clickhouse/client';
import { compareLedger } from '@lethe/analytics/ledger/reconcile.ts';
import { ledgerDatabase } from '@lethe/analytics/ledger/table-ddl.ts';
import type { AnalyticsSchema } from '@lethe/analytics/store.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { readLogEnds } from '@lethe/platform/event-log/sqlite-repair.ts';
import { readCounters } from '@lethe/platform/outbox/repair.ts';
import { topics } from '@lethe/proto/topics.ts';
import type { DataFolder } from './data-folder.ts';

export interface FittingStores {
  readonly eventLog: EventLog;
  readonly databases: Databases;
  readonly clickHouse: ClickHouseClient;
  /** Whether the log is the folder's own file, of which every sequence can be asked. */
  readonly isLogFile: boolean;
}

/**
 * Looks whether the stores of a folder are of one time, before any service works on them: one that was restored from
 * an older copy, or that lost its last commits, does not fit the others. Throws LOG_AHEAD_OF_TABLE, SEQUENCE_GAP,
 * LEDGER_AHEAD_OF_TABLE or LEDGER_BEHIND_TABLE, which `lethe repair` mends.
 */
export async function assertStoresFit(folder: DataFolder, stores: FittingStores): Promise<void> {
  const { eventLog, databases, clickHouse, isLogFile } = stores;
  if (isLogFile) await assertLogFits(folder.eventLog, databases);
  else await assertOfOneSystem(eventLog, databases);
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

/**
 * Of a log on a server only whether it and the database belong together at all: where each partition ends is what its
 * relay looks at when it takes it over, as that fences the one before.
 */
async function assertOfOneSystem(eventLog: EventLog, databases: Databases): Promise<void> {
  for (const { name, owner } of topics) {
    const counters = await readCounters(databases.database(owner), name);
    const ends = await eventLog.endOffsets(name);
    for (const [partition, end] of ends.entries()) {
      const published = counters.find((each) => each.partition === partition)?.lastPublished ?? 0n;
      const at = `${name}/${partition}`;
      if (end > 0n && counters.length === 0) {
        const message = `${at}: the log holds records and the database knows of none: they are of two installations, or the database was lost`;
        throw new ServiceError('LOG_AHEAD_OF_TABLE', message);
      }
      if (end === 0n && published > 0n) {
        const message = `${at}: the log is empty and ${published} were published: they are of two installations, or the log was lost`;
        throw new ServiceError('SEQUENCE_GAP', message);
      }
    }
  }
}
