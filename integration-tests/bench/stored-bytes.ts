import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PGlite } from '@electric-sql/pglite';
import { scopeFromBytes } from '@lethe/keys/store/columns.ts';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import type { EventLog, LogWrite } from '@lethe/platform/event-log/port.ts';
import { openEmbeddedClickHouse } from '@lethe/standalone/aggregate-store.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { openTables } from '../harness/stored-tables.ts';
import { filesOf, openLog } from '../contracts/kafka-subject.ts';
import { startLocalBroker } from '../../deploy/local/kafka.ts';

/** What a help desk took on disk: docs/bench/bytes.json. All sizes in bytes. */
export interface StoredBytes {
  readonly measuredAt: string;
  readonly node: string;
  /** How the events were made. */
  readonly made: string;
  /** Accepted records of the three event topics: what everything below is divided by. */
  readonly events: number;
  readonly topics: readonly TopicBytes[];
  readonly kafka: readonly KafkaBytes[];
  readonly postgres: readonly TableBytes[];
  /** Data keys by kind of scope. */
  readonly dataKeys: Readonly<Record<Scope['kind'], number>>;
  readonly ledger: { readonly rows: number; readonly onDisk: number; readonly chunks: number };
}

interface TopicBytes {
  readonly topic: string;
  readonly records: number;
  /** Of the encoded records alone. */
  readonly valueBytes: number;
}

/** The same records written to a broker, that many a transaction. */
interface KafkaBytes {
  readonly perTransaction: number;
  readonly records: number;
  readonly valueBytes: number;
  /** Of one replica's segments. */
  readonly segmentBytes: number;
}

interface TableBytes {
  readonly schema: string;
  readonly table: string;
  readonly rows: number;
  /** With indexes and what lies outside of the rows. */
  readonly bytes: number;
}

const eventTopics: readonly string[] = ['tickets.v1', 'predictions.v1', 'usage.v1'];
/** services/platform/src/event-log/sqlite-store.ts */
const recordKind = 2;
/** As many as one relay takes at a time, and what an event now and then comes to. */
const transactionSizes = [500, 20, 1] as const;
const recordsToKafka = 10_000;

/** Looks at a data folder on which no server works, and writes its records to a broker of its own. */
export async function measureStoredBytes(folder: string, made: string): Promise<StoredBytes> {
  const topics = topicsIn(folder);
  const kafka = await measureKafka(folder);
  const tables = await openTables(folder);
  const postgres = await tablesIn(tables);
  const dataKeys = await dataKeysIn(tables);
  const chunks = postgres.find(({ table }) => table === 'chunk_manifests')?.rows ?? 0;
  await tables.close();
  const events = topics
    .filter(({ topic }) => eventTopics.includes(topic))
    .reduce((sum, { records }) => sum + records, 0);
  return {
    measuredAt: new Date().toISOString(),
    node: process.versions.node,
    made,
    events,
    topics,
    kafka,
    postgres,
    dataKeys,
    ledger: { ...(await ledgerIn(folder)), chunks },
  };
}

function openLogFile(folder: string): DatabaseSync {
  return new DatabaseSync(join(folder, 'log.sqlite'), { readOnly: true });
}

function topicsIn(folder: string): readonly TopicBytes[] {
  const db = openLogFile(folder);
  const rows = db
    .prepare(
      `select topic, count(*) as records, sum(length(value)) as bytes from entries
       join partitions using (partition_id) where kind = ${recordKind} group by topic order by topic`,
    )
    .all();
  db.close();
  return rows.map((row) => ({
    topic: String(row['topic']),
    records: Number(row['records']),
    valueBytes: Number(row['bytes']),
  }));
}

async function measureKafka(folder: string): Promise<readonly KafkaBytes[]> {
  const writes = recordsOf(folder);
  const valueBytes = writes.reduce((sum, write) => sum + write.value.length, 0);
  const broker = await startLocalBroker();
  const measured: KafkaBytes[] = [];
  try {
    for (const perTransaction of transactionSizes) {
      const name = `bytes-${perTransaction}`;
      const topic = { name, partitions: 1, cleanupPolicy: 'delete', retentionMs: -1 } as const;
      const log = await openLog(broker.address, [topic]);
      // One by one only a tenth: each is a transaction.
      const share = perTransaction === 1 ? writes.slice(0, writes.length / 10) : writes;
      await appendAll(log, name, share, perTransaction);
      await log.close();
      const segmentBytes = [...filesOf(broker.folder, name).values()].reduce(
        (sum, file) => sum + file.length,
        0,
      );
      const shareBytes = share.reduce((sum, write) => sum + write.value.length, 0);
      measured.push({
        perTransaction,
        records: share.length,
        valueBytes: share === writes ? valueBytes : shareBytes,
        segmentBytes,
      });
    }
  } finally {
    await broker.remove();
  }
  return measured;
}

type RecordWrite = Extract<LogWrite, { kind: 'record' }>;

function recordsOf(folder: string): readonly RecordWrite[] {
  const db = openLogFile(folder);
  const rows = db
    .prepare(
      `select event_id, value, recorded_at_ms from entries join partitions using (partition_id)
       where kind = ${recordKind} and topic <> 'privacy.v1' order by recorded_at_ms limit ${recordsToKafka}`,
    )
    .all();
  db.close();
  return rows.map((row) => ({
    kind: 'record',
    eventId: row['event_id'] as Uint8Array,
    value: row['value'] as Uint8Array,
    recordedAtMs: Number(row['recorded_at_ms']),
  }));
}

async function appendAll(
  log: EventLog,
  topic: string,
  writes: readonly RecordWrite[],
  perTransaction: number,
): Promise<void> {
  const writer = await log.openWriter({ topic, partition: 0 });
  for (let at = 0; at < writes.length; at += perTransaction) {
    await writer.append(BigInt(at + 1), writes.slice(at, at + perTransaction));
  }
  await writer.close();
}

async function tablesIn(tables: PGlite): Promise<readonly TableBytes[]> {
  const { rows } = await tables.query<{ schema: string; name: string; bytes: bigint }>(
    `select nspname as schema, relname as name, pg_total_relation_size(pg_class.oid) as bytes
     from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where relkind = 'r' and nspname = any($1) order by nspname, relname`,
    [serviceNames],
  );
  const measured: TableBytes[] = [];
  for (const { schema, name, bytes } of rows) {
    const counted = await tables.query<{ found: bigint }>(
      `select count(*) as found from "${schema}"."${name}"`,
    );
    const found = Number(counted.rows[0]?.found ?? 0n);
    if (found > 0) measured.push({ schema, table: name, rows: found, bytes: Number(bytes) });
  }
  return measured;
}

async function dataKeysIn(tables: PGlite): Promise<StoredBytes['dataKeys']> {
  const { rows } = await tables.query<{ scope: Uint8Array }>('select scope from keys.data_keys');
  const kinds = rows.map(({ scope }) => scopeFromBytes(Buffer.from(scope)).kind);
  const countOf = (kind: Scope['kind']) => kinds.filter((each) => each === kind).length;
  return { person: countOf('person'), ticket: countOf('ticket'), facts: countOf('facts') };
}

async function ledgerIn(folder: string): Promise<{ rows: number; onDisk: number }> {
  const client = await openEmbeddedClickHouse(join(folder, 'chdb'));
  const result = await client.query({
    query: `SELECT toString(sum(rows)) AS rows, toString(sum(bytes_on_disk)) AS onDisk FROM system.parts
      WHERE database = 'ledger' AND active`,
    format: 'JSONEachRow',
  });
  const [row] = await result.json<{ rows: string; onDisk: string }>();
  await client.close();
  return { rows: Number(row?.rows ?? 0), onDisk: Number(row?.onDisk ?? 0) };
}
