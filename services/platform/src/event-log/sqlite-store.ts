import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { ServiceError } from '../errors/service-error.ts';
import type { LogEntry, LogWrite, TopicPartition } from './port.ts';

/**
 * Entry kinds as stored. None is 0 or 1: those take no byte in a record, and erasing must not change a row's size.
 */
const storedKind = { record: 2, tombstone: 3, tick: 4, erased: 5 } as const;

const schemaVersion = 1;

/**
 * How erasure reaches the bytes of this file. SQLite's `secure_delete` zeroes what is deleted, yet a row that a B-tree
 * once moved between pages leaves a copy in the old page's slack that no later DELETE finds (tried: 3 of 8,900). So no
 * row of `entries` ever moves: they are appended at the right end alone (SQLite then adds a page and moves nothing),
 * and a record is erased by overwriting its value with as many zeros in place. Its space is not used again. The
 * write-ahead log is then written back and truncated (`forget`).
 */
const schema = `
  create table partitions (
    partition_id integer primary key,
    topic text not null,
    partition integer not null,
    writer_epoch integer not null default 0,
    last_sequence integer not null default 0,
    next_offset integer not null default 0,
    unique (topic, partition)
  ) strict;
  create table entries (
    entry_id integer primary key,
    partition_id integer not null,
    "offset" integer not null,
    kind integer not null,
    sequence integer not null,
    recorded_at_ms integer not null,
    event_id blob not null,
    value blob not null
  ) strict;
  create unique index entries_by_offset on entries (partition_id, "offset");
  create unique index entries_by_sequence on entries (partition_id, sequence) where kind in (2, 5);
  create index entries_by_event on entries (partition_id, event_id) where kind = 2;
  pragma user_version = ${schemaVersion};
`;

/** A partition's state: where its next entry goes and who may write it. */
export interface PartitionState {
  readonly partitionId: number;
  readonly writerEpoch: bigint;
  readonly lastSequence: bigint;
  readonly nextOffset: bigint;
}

const noBytes = new Uint8Array(0);

/**
 * The statements of the log file. Everything is synchronous; errors name the path and are STORE_UNAVAILABLE, STORE_FULL
 * on a full disk, STORE_DAMAGED for a file that is no database or broken inside.
 */
export class SqliteStore {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws STORE_DAMAGED when the file is no event log, DATA_FOLDER_NEWER when a newer Lethe made it. */
  constructor(path: string, busyTimeoutMs: number) {
    this.path = path;
    this.#db = this.guard(() => openFile(path, busyTimeoutMs));
    this.guard(() => this.#prepareSchema());
  }

  /** Turns SQLite's errors into ours; they carry names of constraints and files, no values. */
  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      const said = error instanceof Error ? error.message : 'unknown failure';
      throw new ServiceError(reasonOf(error), `event log ${this.path}: ${said}`, { cause: error });
    }
  }

  /** Runs `work` in one transaction that excludes other writers from its start. */
  transaction<T>(work: () => T): T {
    return this.guard(() => {
      this.#db.exec('begin immediate');
      try {
        const result = work();
        this.#db.exec('commit');
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('rollback');
        throw error;
      }
    });
  }

  addPartition({ topic, partition }: TopicPartition): void {
    this.#statement(
      'insert into partitions (topic, partition) values (?, ?) on conflict (topic, partition) do nothing',
    ).run(topic, partition);
  }

  /** How many partitions of a topic the file has. */
  partitionsOf(topic: string): number {
    const row = this.guard(() =>
      this.#statement('select count(*) as found from partitions where topic = ?').get(topic),
    );
    return row === undefined ? 0 : Number(integer(row, 'found'));
  }

  partition({ topic, partition }: TopicPartition): PartitionState {
    const row = this.guard(() =>
      this.#statement('select * from partitions where topic = ? and partition = ?').get(
        topic,
        partition,
      ),
    );
    if (row === undefined) throw new RangeError(`the log has no partition ${topic}/${partition}`);
    return {
      partitionId: Number(integer(row, 'partition_id')),
      writerEpoch: integer(row, 'writer_epoch'),
      lastSequence: integer(row, 'last_sequence'),
      nextOffset: integer(row, 'next_offset'),
    };
  }

  saveEpoch(partitionId: number, epoch: bigint): void {
    this.#statement('update partitions set writer_epoch = ? where partition_id = ?').run(
      epoch,
      partitionId,
    );
  }

  saveProgress(partitionId: number, lastSequence: bigint, nextOffset: bigint): void {
    this.#statement(
      'update partitions set last_sequence = ?, next_offset = ? where partition_id = ?',
    ).run(lastSequence, nextOffset, partitionId);
  }

  /** Stores one entry; of a tombstone also erases the earlier records of its event id. */
  insert(partitionId: number, offset: bigint, sequence: bigint, write: LogWrite): void {
    if (write.kind === 'tombstone') this.#erase(partitionId, write.eventId);
    this.#statement(
      `insert into entries (partition_id, "offset", kind, sequence, recorded_at_ms, event_id, value)
         values (?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      partitionId,
      offset,
      storedKind[write.kind],
      write.kind === 'tick' ? write.lastSequence : sequence,
      write.kind === 'record' ? write.recordedAtMs : 0,
      write.kind === 'tick' ? noBytes : write.eventId,
      write.kind === 'record' ? write.value : noBytes,
    );
  }

  #erase(partitionId: number, eventId: Uint8Array): void {
    // Zeros of the same length: the row is overwritten where it lies.
    this.#statement(
      `update entries set kind = ${storedKind.erased}, value = zeroblob(length(value))
         where partition_id = ? and event_id = ? and kind = ${storedKind.record}`,
    ).run(partitionId, eventId);
  }

  /** Entries from `offset` on, ascending; stops after `entriesMax` or once their values exceed `bytesMax`. */
  read(partitionId: number, offset: bigint, entriesMax: number, bytesMax: number): LogEntry[] {
    return this.guard(() => {
      const rows = this.#statement(
        `select "offset", kind, sequence, recorded_at_ms, event_id, value from entries
         where partition_id = ? and "offset" >= ? and kind <> ${storedKind.erased}
         order by "offset" limit ?`,
      ).iterate(partitionId, offset, entriesMax);
      const entries: LogEntry[] = [];
      let bytes = 0;
      for (const row of rows) {
        const entry = entryOf(row);
        entries.push(entry);
        bytes += entry.kind === 'record' ? entry.value.length : 0;
        if (bytes >= bytesMax) break;
      }
      return entries;
    });
  }

  /** Writes the write-ahead log back into the file and empties it. False when another reader is in the way. */
  forget(): boolean {
    return this.guard(() => {
      const row = this.#statement('pragma wal_checkpoint(truncate)').get();
      return row !== undefined && integer(row, 'busy') === 0n;
    });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  get isOpen(): boolean {
    return this.#db.isOpen;
  }

  #statement(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(text);
    statement.setReadBigInts(true);
    this.#statements.set(text, statement);
    return statement;
  }

  #prepareSchema(): void {
    this.transaction(() => {
      const row = this.#statement('pragma user_version').get();
      const version = row === undefined ? 0n : integer(row, 'user_version');
      if (version > BigInt(schemaVersion)) {
        throw new ServiceError(
          'DATA_FOLDER_NEWER',
          `event log ${this.path} has version ${version}`,
        );
      }
      if (version === 0n) this.#db.exec(schema);
    });
  }
}

/** SQLite's primary result codes: https://www.sqlite.org/rescode.html */
const sqliteCodes = { corrupt: 11, full: 13, notADatabase: 26 } as const;

function reasonOf(error: unknown): 'STORE_UNAVAILABLE' | 'STORE_FULL' | 'STORE_DAMAGED' {
  const extended: unknown = error instanceof Error ? Reflect.get(error, 'errcode') : undefined;
  // The low byte; the rest is detail.
  const code = typeof extended === 'number' ? extended & 0xff : 0;
  if (code === sqliteCodes.full) return 'STORE_FULL';
  const isDamaged = code === sqliteCodes.corrupt || code === sqliteCodes.notADatabase;
  return isDamaged ? 'STORE_DAMAGED' : 'STORE_UNAVAILABLE';
}

function openFile(path: string, busyTimeoutMs: number): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: busyTimeoutMs });
  // WAL with FULL: a commit is on the disk before append resolves.
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on');
  return db;
}

type Row = Record<string, SQLOutputValue>;

function integer(row: Row, column: string): bigint {
  const value = row[column];
  if (typeof value !== 'bigint') throw new TypeError(`column ${column} holds no integer`);
  return value;
}

function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} holds no bytes`);
  return value;
}

function entryOf(row: Row): LogEntry {
  const offset = integer(row, 'offset');
  const kind = Number(integer(row, 'kind'));
  if (kind === storedKind.tick) {
    return { offset, kind: 'tick', lastSequence: integer(row, 'sequence') };
  }
  const eventId = bytes(row, 'event_id');
  if (kind === storedKind.tombstone) return { offset, kind: 'tombstone', eventId };
  return {
    offset,
    kind: 'record',
    sequence: integer(row, 'sequence'),
    eventId,
    value: bytes(row, 'value'),
    recordedAtMs: Number(integer(row, 'recorded_at_ms')),
  };
}
