import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { TopicPartition } from './port.ts';

/** How far each partition of the log goes; cheap, and also while a server works on the file. */
export function readLogEnds(
  path: string,
): readonly (TopicPartition & { readonly lastSequence: bigint; readonly nextOffset: bigint })[] {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    const select = db.prepare(
      'select topic, partition, last_sequence, next_offset from partitions',
    );
    select.setReadBigInts(true);
    return select.all().map((row) => ({
      topic: String(row['topic']),
      partition: Number(row['partition']),
      lastSequence: row['last_sequence'] as bigint,
      nextOffset: row['next_offset'] as bigint,
    }));
  } finally {
    db.close();
  }
}

/** Sequences of a partition as the file has them. */
export interface StoredSequences extends TopicPartition {
  readonly lastSequence: bigint;
  readonly nextOffset: bigint;
  /** Ascending: of records, and of those that a tombstone erased. */
  readonly present: readonly bigint[];
  readonly erased: readonly bigint[];
}

/** What every partition of the log holds; for a file that no process works on. */
export function readStoredSequences(path: string): readonly StoredSequences[] {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    const partitions = db.prepare('select * from partitions');
    const sequences = db.prepare(
      'select sequence, kind from entries where partition_id = ? and kind in (2, 5) order by sequence',
    );
    for (const statement of [partitions, sequences]) statement.setReadBigInts(true);
    return partitions.all().map((row) => {
      const stored = sequences.all(row['partition_id'] ?? null);
      const ofKind = (kind: bigint) =>
        stored
          .filter((entry) => entry['kind'] === kind)
          .map((entry) => entry['sequence'] as bigint);
      return {
        topic: String(row['topic']),
        partition: Number(row['partition']),
        lastSequence: row['last_sequence'] as bigint,
        nextOffset: row['next_offset'] as bigint,
        present: ofKind(2n),
        erased: ofKind(5n),
      };
    });
  } finally {
    db.close();
  }
}

/** The log's keys of these records, where they are there. */
export function recordKeysAt(
  path: string,
  { topic, partition }: TopicPartition,
  sequences: readonly bigint[],
): readonly Uint8Array[] {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    return sequences.flatMap((sequence) => {
      const row = get(
        db,
        `select event_id from entries join partitions using (partition_id)
         where topic = ? and partition = ? and kind = 2 and sequence = ?`,
        [topic, partition, sequence],
      );
      const eventId = row?.['event_id'];
      return eventId instanceof Uint8Array ? [eventId] : [];
    });
  } finally {
    db.close();
  }
}

/** Where a partition must end at least. */
export interface LogEnd {
  /** The last that was ever published: none is given twice. */
  readonly lastSequence: bigint;
  /** The highest that any consumer goes on from: nothing that is appended later may lie below it. */
  readonly nextOffset: bigint;
}

/** A record that the log lost and its owner still has. */
export interface RecordToRestore {
  readonly sequence: bigint;
  readonly eventId: Uint8Array;
  readonly value: Uint8Array;
  readonly recordedAtMs: number;
}

/**
 * Puts lost records (ascending) back under their own sequences, at offsets that nobody has: between their neighbours
 * where there is room, at the end otherwise. All or nothing.
 */
export function restoreRecords(
  path: string,
  { topic, partition }: TopicPartition,
  records: readonly RecordToRestore[],
  atLeast: LogEnd,
): void {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    db.exec('pragma synchronous = full; begin immediate');
    const state = get(db, 'select * from partitions where topic = ? and partition = ?', [
      topic,
      partition,
    ]);
    if (state === undefined) throw new RangeError(`the log has no partition ${topic}/${partition}`);
    const partitionId = state['partition_id'] ?? null;
    let end = max(state['next_offset'] as bigint, atLeast.nextOffset);
    let last = max(state['last_sequence'] as bigint, atLeast.lastSequence);
    const insert = db.prepare(
      `insert into entries (partition_id, "offset", kind, sequence, recorded_at_ms, event_id, value)
       values (?, ?, 2, ?, ?, ?, ?)`,
    );
    const put = ({ sequence, eventId, value, recordedAtMs }: RecordToRestore, offset: bigint) => {
      insert.run(partitionId, offset, sequence, recordedAtMs, eventId, value);
      last = max(last, sequence);
    };
    const atEnd: RecordToRestore[] = [];
    // The last one first: each is a neighbour of the one before it.
    for (const record of records.toReversed()) {
      const offset = freeOffset(db, partitionId, record.sequence);
      if (offset === undefined) atEnd.unshift(record);
      else put(record, offset);
    }
    for (const record of atEnd) {
      put(record, end);
      end += 1n;
    }
    db.prepare(
      'update partitions set next_offset = ?, last_sequence = ? where partition_id = ?',
    ).run(end, last, partitionId);
    db.exec('commit; pragma wal_checkpoint(truncate)');
  } finally {
    db.close();
  }
}

/**
 * The last unused offset between the record before and the record after, in front of any tick that tells of this one;
 * undefined when there is none. Never below the offset that the record had: what a consumer has not read yet stays
 * ahead of it.
 */
function freeOffset(
  db: DatabaseSync,
  partitionId: SQLInputValue,
  sequence: bigint,
): bigint | undefined {
  const offsetOf = (where: string, values: readonly SQLInputValue[]): bigint | undefined => {
    const text = `select "offset" from entries where partition_id = ? and ${where} limit 1`;
    const offset = get(db, text, [partitionId, ...values])?.['offset'];
    return typeof offset === 'bigint' ? offset : undefined;
  };
  const record = 'kind in (2, 5) and sequence';
  const before = offsetOf(`${record} < ? order by sequence desc`, [sequence]) ?? -1n;
  const next = offsetOf(`${record} > ? order by sequence`, [sequence]);
  const tick = offsetOf('kind = 4 and sequence >= ? and "offset" > ? order by "offset"', [
    sequence,
    before,
  ]);
  const after = next === undefined || (tick !== undefined && tick < next) ? tick : next;
  if (after === undefined) return undefined;
  let offset = after - 1n;
  while (offset > before && offsetOf('"offset" = ?', [offset]) !== undefined) offset -= 1n;
  return offset > before ? offset : undefined;
}

function get(db: DatabaseSync, text: string, values: readonly SQLInputValue[]) {
  const statement = db.prepare(text);
  statement.setReadBigInts(true);
  return statement.get(...values);
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}

/** A record as the file has it. */
export interface StoredRecord extends RecordToRestore {
  readonly offset: bigint;
}

/** Records of a partition above a sequence, ascending, at most `recordsMax`. */
export function readRecordsAfter(
  path: string,
  { topic, partition }: TopicPartition,
  after: bigint,
  recordsMax: number,
): readonly StoredRecord[] {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    const select = db.prepare(
      `select "offset", sequence, recorded_at_ms, event_id, value from entries
       join partitions using (partition_id)
       where topic = ? and partition = ? and kind = 2 and sequence > ? order by sequence limit ?`,
    );
    select.setReadBigInts(true);
    return select.all(topic, partition, after, recordsMax).map((row) => ({
      offset: row['offset'] as bigint,
      sequence: row['sequence'] as bigint,
      recordedAtMs: Number(row['recorded_at_ms']),
      eventId: row['event_id'] as Uint8Array,
      value: row['value'] as Uint8Array,
    }));
  } finally {
    db.close();
  }
}
