import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Record as LogRecord, type RecordHeader } from '@lethe/proto/gen/lethe/log/v1/record.ts';

/** A record on the event log of a data folder. */
export interface StoredRecord {
  readonly topic: string;
  readonly partition: number;
  readonly sequence: bigint;
  readonly header: RecordHeader;
  readonly boxes: readonly Buffer[];
  /** As bytes; empty unless its trace is recorded. */
  readonly traceContext: Buffer;
}

export interface StoredPartition {
  readonly topic: string;
  readonly partition: number;
  /** What the log itself takes for its last sequence. */
  readonly lastSequence: bigint;
}

/** What lies on the log. */
export interface StoredLog {
  readonly partitions: readonly StoredPartition[];
  readonly records: readonly StoredRecord[];
}

/** A record's kind in the file: services/platform/src/event-log/sqlite-store.ts. */
const recordKind = 2;

/** Reads the log of a data folder, also while a server works on it. */
export function readLog(dataFolder: string): StoredLog {
  const db = new DatabaseSync(join(dataFolder, 'log.sqlite'), { readOnly: true, timeout: 5_000 });
  try {
    return { partitions: partitionsIn(db), records: recordsIn(db) };
  } finally {
    db.close();
  }
}

function partitionsIn(db: DatabaseSync): readonly StoredPartition[] {
  const select = db.prepare('select topic, partition, last_sequence from partitions');
  select.setReadBigInts(true);
  return select.all().map((row) => ({
    topic: String(row['topic']),
    partition: Number(row['partition']),
    lastSequence: BigInt(row['last_sequence'] as bigint),
  }));
}

function recordsIn(db: DatabaseSync): readonly StoredRecord[] {
  const select = db.prepare(
    `select topic, partition, sequence, value from entries join partitions using (partition_id)
     where kind = ${recordKind} order by partition_id, sequence`,
  );
  select.setReadBigInts(true);
  return select.all().map((row) => {
    const { header, parts, traceContext } = LogRecord.decode(row['value'] as Uint8Array);
    if (header === undefined) throw new Error('a record on the log has no header');
    return {
      topic: String(row['topic']),
      partition: Number(row['partition']),
      sequence: row['sequence'] as bigint,
      header,
      boxes: parts.map(({ box }) => Buffer.from(box)),
      traceContext: Buffer.from(traceContext),
    };
  });
}
