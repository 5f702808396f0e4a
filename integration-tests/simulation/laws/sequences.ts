import type { Evidence } from './evidence.ts';
import { must } from './law-broken.ts';

const gapless = 'sequences are gapless but for erased_ranges';
const ordered = 'every stream lies on the log in order, without gaps';
const once = 'every event is applied exactly once and in order';

/** Sequences on the log, and what was taken from it. */
export function checkSequences({ observed, log, rows }: Evidence): void {
  const groups = Map.groupBy(observed.records, ({ topic, partition }) => `${topic}/${partition}`);
  for (const [name, records] of groups) {
    records.forEach(({ sequence }, index) => {
      must(sequence === BigInt(index + 1), gapless, () => `${name}: ${sequence} at ${index + 1}`);
    });
    const [topic = '', partition = '0'] = name.split('/');
    const schema = topic === 'privacy.v1' ? 'privacy' : 'tickets';
    const [counter] = rows(
      `select last_sequence from ${schema}.partition_counters where topic = $1 and partition = $2`,
      [topic, Number(partition)],
    );
    must(counter?.['last_sequence'] === BigInt(records.length), gapless, () => {
      return `${name}: the counter stands at ${String(counter?.['last_sequence'])} of ${records.length}`;
    });
    const there = new Set(
      log
        .partition({ topic, partition: Number(partition) })
        .entries.flatMap((entry) => (entry.kind === 'record' ? [entry.sequence] : [])),
    );
    const listed = erasedSequences(rows, schema, topic, Number(partition));
    for (const { sequence } of records) {
      must(there.has(sequence) !== listed.has(sequence), gapless, () => {
        const where = there.has(sequence) ? 'listed as erased and there' : 'gone and not listed';
        return `${name}: ${sequence} is ${where}`;
      });
    }
  }
}

export function erasedSequences(
  rows: Evidence['rows'],
  schema: string,
  topic: string,
  partition: number,
): Set<bigint> {
  const erased = new Set<bigint>();
  for (const range of rows(
    `select first_sequence, last_sequence from ${schema}.erased_ranges
      where topic = $1 and partition = $2`,
    [topic, partition],
  )) {
    const last = range['last_sequence'] as bigint;
    for (let each = range['first_sequence'] as bigint; each <= last; each += 1n) erased.add(each);
  }
  return erased;
}

/** Positions within streams, and each event id once. */
export function checkStreams({ observed }: Pick<Evidence, 'observed'>): void {
  const seen = new Set<string>();
  for (const { recordKey, topic, eventId } of observed.records) {
    must(!seen.has(`${topic} ${recordKey}`), once, () => `${eventId} is on ${topic} twice`);
    seen.add(`${topic} ${recordKey}`);
  }
  for (const [stream, records] of observed.byStream) {
    records.forEach(({ header }, index) => {
      must(header.position === BigInt(index + 1), ordered, () => {
        return `${stream}: position ${header.position} comes as number ${index + 1}`;
      });
      must(records[0]?.partition === records[index]?.partition, ordered, () => {
        return `${stream} lies in two partitions`;
      });
    });
  }
}

/** What the auditor's consumer applied: all that it could still read, in sequence order, each once. */
export function checkAuditor({ observed, rows }: Evidence): void {
  for (const partition of [0, 1]) {
    const applied = rows(
      `select sequence from audit.applied where topic = 'tickets.v1' and partition = $1 order by place`,
      [partition],
    ).map((row) => row['sequence'] as bigint);
    applied.forEach((sequence, index) => {
      const before = applied[index - 1] ?? 0n;
      must(sequence > before, once, () => `audit: ${sequence} was applied after ${before}`);
    });
    const done = new Set(applied);
    const erased = erasedSequences(rows, 'tickets', 'tickets.v1', partition);
    for (const record of observed.records) {
      if (record.topic !== 'tickets.v1' || record.partition !== partition) continue;
      const isThere = done.has(record.sequence) || erased.has(record.sequence);
      must(isThere, once, () => `audit: ${record.sequence} of partition ${partition} was skipped`);
    }
  }
}
