import { join } from 'node:path';
import { pino } from 'pino';
import type { EventLog, LogEntry } from '../event-log/port.ts';
import { openSqliteEventLog } from '../event-log/sqlite.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

/** A real event log in a folder of its own. */
export interface TestEventLog {
  readonly log: EventLog;
  /** Closes the log and opens the same file, as a restart does. */
  reopen(): Promise<EventLog>;
  /** Closes what is open and removes the folder. */
  close(): Promise<void>;
}

export function openTestEventLog(partitions: ReadonlyMap<string, number>): TestEventLog {
  const folder = createTemporaryFolder('log');
  const open = (): EventLog =>
    openSqliteEventLog({
      path: join(folder.path, 'log.sqlite'),
      partitions,
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      pollIntervalMs: 20,
      idleMs: 1,
    });
  const first = open();
  let newest = first;
  return {
    log: first,
    reopen: async () => {
      await newest.close();
      newest = open();
      return newest;
    },
    close: async () => {
      await newest.close();
      folder.remove();
    },
  };
}

/** Everything on the log of one topic, by partition, from the start. */
export async function entriesOf(log: EventLog, topic: string): Promise<LogEntry[][]> {
  const reader = await log.openReader({
    group: 'entries-of',
    topics: [topic],
    startAt: async (assigned) => assigned.map(() => 0n),
  });
  const ends = await log.endOffsets(topic);
  const found: LogEntry[][] = ends.map(() => []);
  while (ends.some((end, partition) => reader.position({ topic, partition }) < end)) {
    for (const batch of await reader.poll({ recordsMax: 1_000, waitMs: 0 })) {
      found[batch.partition]?.push(...batch.entries);
    }
  }
  await reader.close();
  return found;
}
