import { randomBytes } from 'node:crypto';
import { openKafkaEventLog } from '@lethe/platform/event-log/kafka.ts';
import type { EventLog, LogBatch, LogReader } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { topics } from '@lethe/proto/topics.ts';
import type { StoredLog, StoredRecord } from '../harness/stored-log.ts';

/** What lies on Kafka, as a fresh reader of committed records finds it; what a later tombstone removes is left out. */
export async function readKafkaLog(
  address: string,
  { keepsBoxes = false }: { readonly keepsBoxes?: boolean } = {},
): Promise<StoredLog> {
  const log = await openKafkaEventLog({
    settings: { brokers: [address], clientId: 'faults' },
    topics,
    clock: systemClock,
    randomBytes,
    logger: createLogger({ service: 'faults', level: 'silent' }),
  });
  try {
    const names = topics.map(({ name }) => name);
    const group = `faults-${randomBytes(6).toString('hex')}`;
    const startAt = async (assigned: readonly unknown[]) => assigned.map(() => 0n);
    const reader = await log.openReader({ group, topics: names, startAt });
    return await readAll(log, reader, names, keepsBoxes);
  } finally {
    await log.close();
  }
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly records: Map<string, StoredRecord>;
  lastSequence: bigint;
}

async function readAll(
  log: EventLog,
  reader: LogReader,
  names: readonly string[],
  keepsBoxes: boolean,
): Promise<StoredLog> {
  const places = new Map<string, Place>();
  const ends = await Promise.all(names.map(async (topic) => await log.endOffsets(topic)));
  const isBehind = () =>
    names.some((topic, at) =>
      (ends[at] ?? []).some((end, partition) => reader.position({ topic, partition }) < end),
    );
  const repeated: StoredRecord[] = [];
  while (isBehind()) {
    for (const batch of await reader.poll({ recordsMax: 2_000, waitMs: 1_000 })) {
      repeated.push(...takeBatch(placeOf(places, batch), batch, keepsBoxes));
    }
  }
  const all = [...places.values()];
  return {
    partitions: all.map(({ topic, partition, lastSequence }) => ({
      topic,
      partition,
      lastSequence,
    })),
    records: [...all.flatMap(({ records }) => [...records.values()]), ...repeated],
  };
}

function placeOf(places: Map<string, Place>, { topic, partition }: LogBatch): Place {
  const name = `${topic}/${partition}`;
  const place = places.get(name) ?? { topic, partition, records: new Map(), lastSequence: 0n };
  places.set(name, place);
  return place;
}

/** Takes entries in their order; answers records that stand there although one of the same key did before. */
function takeBatch(place: Place, { entries }: LogBatch, keepsBoxes: boolean): StoredRecord[] {
  const repeated: StoredRecord[] = [];
  for (const entry of entries) {
    if (entry.kind === 'tick') continue;
    const recordKey = Buffer.from(entry.eventId).toString('hex');
    if (entry.kind === 'tombstone') {
      place.records.delete(recordKey);
      continue;
    }
    const { header, parts, traceContext } = LogRecord.decode(entry.value);
    if (header === undefined) throw new Error('a record on the log has no header');
    const { topic, partition } = place;
    const boxes = keepsBoxes ? parts.map(({ box }) => Buffer.from(box)) : [];
    const record = {
      topic,
      partition,
      sequence: entry.sequence,
      header,
      boxes,
      traceContext: Buffer.from(traceContext),
    };
    if (place.records.has(recordKey)) repeated.push(record);
    else place.records.set(recordKey, record);
    if (entry.sequence > place.lastSequence) place.lastSequence = entry.sequence;
  }
  return repeated;
}
