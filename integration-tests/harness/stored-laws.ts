import type { PGlite } from '@electric-sql/pglite';
import { readLog, type StoredLog, type StoredRecord } from './stored-log.ts';
import {
  countIn,
  openTables,
  ownedPartitions,
  owners,
  type OwnedPartition,
} from './stored-tables.ts';

/**
 * What must hold in every data folder on which no server works, whatever happened to it: sequences without a gap but
 * for those that erasure removed, no event twice, nothing on its way. Answers each violation as a sentence.
 */
export async function violationsIn(dataFolder: string): Promise<readonly string[]> {
  const log = readLog(dataFolder);
  const tables = await openTables(dataFolder);
  try {
    const owned = await ownedPartitions(tables);
    return [...logViolations(log, owned), ...(await tableViolations(tables))];
  } finally {
    await tables.close();
  }
}

/** The laws of the log alone, and of what its owners' tables say of it. `log` has no record that a tombstone removes. */
export function logViolations(log: StoredLog, owned: readonly OwnedPartition[]): readonly string[] {
  return [
    ...owned.flatMap((partition) => sequenceViolations(log, partition)),
    ...unknownPartitions(log, owned),
    ...repeatedEvents(log.records),
    ...positionGaps(log.records),
  ];
}

function sequenceViolations(log: StoredLog, owned: OwnedPartition): readonly string[] {
  const { topic, partition, lastSequence, erased } = owned;
  const name = `${topic}/${partition}`;
  const isHere = (other: { readonly topic: string; readonly partition: number }) =>
    other.topic === topic && other.partition === partition;
  const stored = log.records.filter(isHere).map(({ sequence }) => sequence);
  const gone = erased.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index)),
  );
  const all = [...stored, ...gone].toSorted((left, right) => (left < right ? -1 : 1));
  const wrong = all.findIndex((sequence, index) => sequence !== BigInt(index + 1));
  const onLog = log.partitions.find(isHere)?.lastSequence ?? 0n;
  return [
    ...(wrong < 0 ? [] : [`${name}: ${all[wrong]} stands where ${wrong + 1} is due`]),
    ...(BigInt(all.length) === lastSequence ? [] : [`${name}: ${all.length} of ${lastSequence}`]),
    ...(onLog === lastSequence ? [] : [`${name}: log at ${onLog}, table at ${lastSequence}`]),
  ];
}

function unknownPartitions(log: StoredLog, owned: readonly OwnedPartition[]): readonly string[] {
  const known = new Set(owned.map(({ topic, partition }) => `${topic}/${partition}`));
  const onLog = new Set(log.records.map(({ topic, partition }) => `${topic}/${partition}`));
  return [...onLog].filter((name) => !known.has(name)).map((name) => `${name}: nobody counts it`);
}

function repeatedEvents(records: readonly StoredRecord[]): readonly string[] {
  const ids = records.map(
    ({ header }) => `${header.tenantId} ${Buffer.from(header.eventId).toString('hex')}`,
  );
  const seen = new Set<string>();
  const repeated = ids.filter((id) => seen.size === seen.add(id).size);
  return repeated.map((id) => `event ${id} is on the log twice`);
}

/** Positions of a stream count from 1; an erased stream is gone as a whole. */
function positionGaps(records: readonly StoredRecord[]): readonly string[] {
  const streams = new Map<string, bigint[]>();
  for (const { topic, header } of records) {
    const stream = `${topic} ${header.tenantId} ${Buffer.from(header.streamToken).toString('hex')}`;
    streams.set(stream, [...(streams.get(stream) ?? []), header.position]);
  }
  return [...streams]
    .filter(([stream]) => !stream.startsWith('privacy.v1'))
    .filter(([, positions]) => positions.some((at, index) => at !== BigInt(index + 1)))
    .map(([stream]) => `stream ${stream} has a gap`);
}

async function tableViolations(tables: PGlite): Promise<readonly string[]> {
  const found: string[] = [];
  for (const owner of owners) {
    const pending = await countIn(tables, `select count(*) from ${owner}.outbox`);
    if (pending !== 0) found.push(`${owner}: ${pending} rows of the outbox never went`);
  }
  for (const owner of ['tickets', 'predictions', 'usage']) {
    const unnumbered = await countIn(
      tables,
      `select count(*) from ${owner}.event_index where sequence is null`,
    );
    if (unnumbered !== 0) found.push(`${owner}: ${unnumbered} events have no sequence`);
    const twice = await countIn(
      tables,
      `select count(*) - count(distinct (partition, sequence)) as count from ${owner}.event_index`,
    );
    if (twice !== 0) found.push(`${owner}: ${twice} events share a sequence`);
  }
  return found;
}
