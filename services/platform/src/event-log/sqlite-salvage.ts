import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { SqliteStore } from './sqlite-store.ts';

/** What `checkSqliteLog` found. */
export type SqliteLogState =
  | { readonly state: 'missing' | 'sound' }
  /** In SQLite's words: names of pages and tables, no values. */
  | { readonly state: 'damaged'; readonly problem: string };

const problemsMax = 3;

/** Reads the whole file and every index. For a file that no process works on. */
export function checkSqliteLog(path: string): SqliteLogState {
  if (!existsSync(path)) return { state: 'missing' };
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
    const rows = db.prepare(`pragma integrity_check(${problemsMax})`).all();
    const said = rows.map((row) => String(row['integrity_check']));
    if (said.length === 1 && said[0] === 'ok') return { state: 'sound' };
    return { state: 'damaged', problem: said.join('; ').replaceAll(/\s+/g, ' ') };
  } catch (error) {
    return { state: 'damaged', problem: error instanceof Error ? error.message : 'unreadable' };
  } finally {
    db?.close();
  }
}

/** What a salvage brought over. */
export interface SalvagedLog {
  readonly entries: number;
  /** Entries that the file once had and that could not be read any more. */
  readonly lost: number;
  /** Where the damaged file lies now. */
  readonly aside: string;
}

/**
 * Reads what can still be read of a damaged log, entry by entry, into a fresh file with the same offsets and sequences,
 * and puts that in its place; the damaged file is kept beside it under `aside`. Throws SQLite's error when not even the
 * list of partitions can be read; then everything is as it was.
 *
 * If the process dies in it, the damaged file is still in its place or lies under `aside`, and the next run begins anew.
 */
export function salvageSqliteLog(path: string, aside: string): SalvagedLog {
  const work = `${path}.salvage`;
  const fresh = `${path}.fresh`;
  try {
    for (const file of [work, fresh]) removeWithJournals(file);
    copyWithJournals(path, work);
    extendToItsPages(work);
    const copied = copyReadable(work, fresh);
    for (const end of journals) if (existsSync(path + end)) renameSync(path + end, aside + end);
    renameSync(path, aside);
    renameSync(fresh, path);
    return { ...copied, aside };
  } finally {
    for (const file of [work, fresh]) removeWithJournals(file);
  }
}

function copyReadable(work: string, fresh: string): Omit<SalvagedLog, 'aside'> {
  // With its schema, and nothing in it.
  new SqliteStore(fresh, 0).close();
  const target = new DatabaseSync(fresh, { timeout: 0 });
  try {
    const damaged = new DatabaseSync(work, { timeout: 0 });
    try {
      target.exec('begin');
      const copied = copyEntries(damaged, target, copyPartitions(damaged, target));
      target.exec('commit; pragma wal_checkpoint(truncate)');
      return copied;
    } finally {
      damaged.close();
    }
  } finally {
    target.close();
  }
}

const journals = ['-wal', '-shm'] as const;

function copyWithJournals(from: string, to: string): void {
  copyFileSync(from, to);
  if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
}

function removeWithJournals(file: string): void {
  for (const end of ['', ...journals]) rmSync(file + end, { force: true });
}

/** SQLite reads nothing at all of a file that is shorter than it says; pages of zeros are merely damaged ones. */
function extendToItsPages(file: string): void {
  const handle = openSync(file, 'r+');
  try {
    const header = Buffer.alloc(32);
    if (readSync(handle, header, 0, header.length, 0) < header.length) return;
    const sizeStored = header.readUInt16BE(16);
    const bytes = header.readUInt32BE(28) * (sizeStored === 1 ? 65_536 : sizeStored);
    if (statSync(file).size < bytes) ftruncateSync(handle, bytes);
  } finally {
    closeSync(handle);
  }
}

/** Answers how many entries there can be at most. */
function copyPartitions(damaged: DatabaseSync, target: DatabaseSync): number {
  const select = damaged.prepare('select * from partitions');
  select.setReadBigInts(true);
  const insert = target.prepare(
    `insert into partitions (partition_id, topic, partition, writer_epoch, last_sequence, next_offset)
     values (?, ?, ?, ?, ?, ?)`,
  );
  let most = 0;
  for (const row of select.all()) {
    const names = ['partition_id', 'topic', 'partition', 'writer_epoch', 'last_sequence'];
    insert.run(...names.map((name) => inputOf(row[name])), inputOf(row['next_offset']));
    most += Number(row['next_offset']);
  }
  return most;
}

// Every entry has an id of its own that counts from 1, so those that are damaged are simply not found.
function copyEntries(damaged: DatabaseSync, target: DatabaseSync, most: number) {
  const select = damaged.prepare('select * from entries not indexed where entry_id = ?');
  select.setReadBigInts(true);
  const insert = target.prepare(
    `insert into entries (entry_id, partition_id, "offset", kind, sequence, recorded_at_ms, event_id, value)
     values (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  let entries = 0;
  // Records that repairs put back have new ids, above those of all offsets. A damaged page may name any.
  const last = Number(readable(() => damaged.prepare(lastEntry).get())?.['last'] ?? 0);
  const lastId = Math.min(Math.max(last, most), most * idsPerOffsetMax);
  for (let entryId = 1; entryId <= lastId; entryId += 1) {
    const row = readable(() => select.get(entryId));
    if (row === undefined) continue;
    const names = ['entry_id', 'partition_id', 'offset', 'kind', 'sequence', 'recorded_at_ms'];
    const values = [...names, 'event_id', 'value'].map((name) => inputOf(row[name]));
    // What is no entry any more breaks the table's rules.
    if (readable(() => insert.run(...values)) !== undefined) entries += 1;
  }
  return { entries, lost: most - entries };
}

/** An id for the entry, and one for each time that a repair put it back. */
const idsPerOffsetMax = 10;
const lastEntry = 'select max(entry_id) as last from entries';

function readable<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    // Damaged: counted as lost.
    return undefined;
  }
}

function inputOf(value: SQLOutputValue | undefined): SQLInputValue {
  return value ?? null;
}
