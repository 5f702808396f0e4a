import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { cpuUs } from './cpu-time.ts';

/**
 * `node integration-tests/bench/measure-compression.ts --data DIR`: what compressing batches of the records in a data folder
 * would save and cost, as JSON. No server may work on the folder. gzip as kafkajs does it; zstd, which it cannot do, for
 * what a newer codec could gain. The outcome stands in docs/decisions/the-log-is-not-compressed.md.
 */
interface Codec {
  readonly name: string;
  readonly pack: (bytes: Buffer) => Buffer;
  readonly unpack: (bytes: Buffer) => Buffer;
}

interface Compressed {
  readonly codec: string;
  /** Records in one batch, which is compressed as a whole. */
  readonly perBatch: number;
  readonly records: number;
  /** Of what was before. */
  readonly bytesShare: number;
  readonly packUsPerRecord: number;
  readonly unpackUsPerRecord: number;
}

const codecs: readonly Codec[] = [
  { name: 'gzip', pack: (bytes) => gzipSync(bytes), unpack: (bytes) => gunzipSync(bytes) },
  { name: 'zstd', pack: (bytes) => zstdCompressSync(bytes), unpack: zstdDecompressSync },
];
/** As many as one relay takes at a time, and what an event now and then comes to. */
const batchSizes = [500, 20, 1] as const;
const rounds = 5;

/** Key and value of each record, in the order of the log. */
function recordsOf(folder: string): readonly Buffer[] {
  const db = new DatabaseSync(join(folder, 'log.sqlite'), { readOnly: true });
  const rows = db
    .prepare(
      `select event_id, value from entries join partitions using (partition_id)
       where length(value) > 0 and topic <> 'privacy.v1' order by partition_id, recorded_at_ms`,
    )
    .all();
  db.close();
  return rows.map((row) =>
    Buffer.concat([row['event_id'] as Uint8Array, row['value'] as Uint8Array]),
  );
}

function batchesOf(records: readonly Buffer[], perBatch: number): readonly Buffer[] {
  const batches: Buffer[] = [];
  for (let at = 0; at < records.length; at += perBatch) {
    batches.push(Buffer.concat(records.slice(at, at + perBatch)));
  }
  return batches;
}

function sizeOf(batches: readonly Buffer[]): number {
  return batches.reduce((sum, batch) => sum + batch.length, 0);
}

/** The least of some rounds: what else the machine does only adds. */
function leastUs(work: () => void): number {
  const took = Array.from({ length: rounds }, () => {
    const before = cpuUs();
    work();
    return cpuUs() - before;
  });
  return Math.min(...took);
}

function measure(records: readonly Buffer[], perBatch: number, codec: Codec): Compressed {
  const batches = batchesOf(records, perBatch);
  const packed = batches.map(codec.pack);
  const packUs = leastUs(() => batches.forEach((batch) => codec.pack(batch)));
  const unpackUs = leastUs(() => packed.forEach((batch) => codec.unpack(batch)));
  return {
    codec: codec.name,
    perBatch,
    records: records.length,
    bytesShare: sizeOf(packed) / sizeOf(batches),
    packUsPerRecord: packUs / records.length,
    unpackUsPerRecord: unpackUs / records.length,
  };
}

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (values.data === undefined) throw new RangeError('--data names the data folder');
const records = recordsOf(values.data);
if (records.length === 0) throw new RangeError('the data folder has no records');
const measured = batchSizes.flatMap((perBatch) =>
  codecs.map((codec) => measure(records, perBatch, codec)),
);
process.stdout.write(`${JSON.stringify(measured, undefined, 2)}\n`);
