import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Ended } from './processes.ts';

/** What lay on the log of a data folder while something ran; by the id of its row. */
export type SeenRecords = ReadonlyMap<number, Buffer>;

const pollMs = 250;
/** As the file numbers them: services/platform/src/event-log/sqlite-store.ts. */
const kinds = { record: 2, erased: 5 } as const;

/** Keeps a copy of every record that comes onto the log until the process ends. */
export async function watchLog(dataFolder: string, ended: Promise<Ended>): Promise<SeenRecords> {
  const seen = new Map<number, Buffer>();
  let isOver = false;
  void ended.then(() => (isOver = true));
  let newest = 0;
  while (!isOver) {
    await Promise.race([delay(pollMs), ended]);
    for (const { entryId, value } of recordsAfter(dataFolder, newest)) {
      seen.set(entryId, value);
      newest = entryId;
    }
  }
  return seen;
}

interface Entry {
  readonly entryId: number;
  readonly value: Buffer;
}

function recordsAfter(dataFolder: string, entryId: number): readonly Entry[] {
  return withLog(dataFolder, (db) =>
    db
      .prepare(
        'select entry_id, value from entries where entry_id > ? and kind = ? order by entry_id',
      )
      .all(entryId, kinds.record)
      .map((row) => ({
        entryId: Number(row['entry_id']),
        value: Buffer.from(row['value'] as Uint8Array),
      })),
  );
}

/** Rows that held a record once and were erased. */
export function erasedEntries(dataFolder: string): readonly number[] {
  return withLog(dataFolder, (db) =>
    db
      .prepare('select entry_id from entries where kind = ?')
      .all(kinds.erased)
      .map((row) => Number(row['entry_id'])),
  );
}

/** Nothing while there is no log yet. */
function withLog<Row>(
  dataFolder: string,
  read: (db: DatabaseSync) => readonly Row[],
): readonly Row[] {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(join(dataFolder, 'log.sqlite'), { readOnly: true, timeout: 5_000 });
    return read(db);
  } catch (error) {
    if (/unable to open|no such table/.test(String(error))) return [];
    throw error;
  } finally {
    db?.close();
  }
}

/** The ciphertexts of a record. */
export function boxesOf(record: Buffer): readonly Buffer[] {
  return LogRecord.decode(record).parts.map(({ box }) => Buffer.from(box));
}
