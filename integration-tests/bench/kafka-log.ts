import { randomBytes } from 'node:crypto';
import type { EventLog, LogWrite, PartitionWriter } from '@lethe/platform/event-log/port.ts';
import { cpuUs } from './cpu-time.ts';
import { type Figure, figureOf, type Tell } from './figure.ts';
import {
  type KafkaMaximum,
  maximumPartitions,
  openKafkaMaximum,
  recordBytes,
  recordsPerRequest,
} from './kafka-maximum.ts';
import { combinePairs, median, type Pair, runPairs, type Side } from './pairs.ts';
import { openRealLog, type RealPlaces } from './real-places.ts';

const topic = {
  name: 'bench-log',
  partitions: maximumPartitions,
  cleanupPolicy: 'compact',
  retentionMs: -1,
} as const;
const requestsPerPartition = 4;
const records = maximumPartitions * recordsPerRequest * requestsPerPartition;
const pairs = 7;
const pairsForMs = 40_000;

/** The event log on Kafka against the client library alone: as many records, as large, as many a request. */
export async function measureKafkaLog(
  names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  if (real === undefined) throw new RangeError('the log on Kafka is measured with --real');
  const maximum = await openKafkaMaximum(real);
  const log = await openRealLog(real, [topic]);
  const writers = await Promise.all(
    Array.from({ length: maximumPartitions }, async (_, partition) => {
      return await log.openWriter({ topic: topic.name, partition });
    }),
  );
  const append = createAppend(writers);
  await runPairs(1, append, async () => await maximum.produce(records));
  // Also what is read below.
  const appended = await compare(append, async () => await maximum.produce(records));
  if (names.has('log-append')) tell(figureFor('log-append', 'append to the log', appended));
  if (names.has('log-read')) tell(await measureRead(log, maximum));
  await log.close();
  await maximum.close();
}

async function measureRead(log: EventLog, maximum: KafkaMaximum): Promise<Figure> {
  const read = async () => await readAll(log);
  const consume = async () => await maximum.consume(records);
  await runPairs(1, read, consume);
  return figureFor('log-read', 'read the log from its beginning', await compare(read, consume));
}

/** Records per second, and the CPU of this process for each. */
interface Compared {
  readonly perSecond: readonly Pair[];
  readonly cpuPerRecordUs: readonly Pair[];
}

async function compare(measured: Side, baseline: Side): Promise<Compared> {
  const cpu: number[] = [];
  const withCpu =
    (side: Side): Side =>
    async () => {
      const before = cpuUs();
      const tookMs = await side();
      cpu.push((cpuUs() - before) / records);
      return (records * 1_000) / tookMs;
    };
  const perSecond = await runPairs(pairs, withCpu(measured), withCpu(baseline), pairsForMs);
  // Pairs take turns in which side goes first.
  const cpuPerRecordUs = perSecond.map((_, index) => {
    const [first = 0, second = 0] = cpu.slice(2 * index, 2 * index + 2);
    return index % 2 === 0
      ? { measured: first, baseline: second }
      : { measured: second, baseline: first };
  });
  return { perSecond, cpuPerRecordUs };
}

function figureFor(name: string, what: string, { perSecond, cpuPerRecordUs }: Compared): Figure {
  const cpuOf = (side: keyof Pair) => median(cpuPerRecordUs.map((pair) => pair[side])).toFixed(1);
  const how =
    name === 'log-append'
      ? 'each request is a transaction of its own, which exactly-once hand-over needs'
      : 'committed records alone, each with its sequence, from offsets of our own';
  return figureOf(
    {
      name,
      what: `${what} on Kafka`,
      unit: 'records/s',
      baselineWhat:
        name === 'log-append' ? 'kafkajs alone, acks=all, no transactions' : 'kafkajs alone',
      notes: [
        `${records} records of ${recordBytes} bytes, ${recordsPerRequest} a request, ${maximumPartitions} partitions at once; ${how}; by the wall clock`,
        `CPU of the process per record: ${cpuOf('measured')} µs, kafkajs alone ${cpuOf('baseline')} µs`,
      ],
    },
    combinePairs(perSecond),
  );
}

function createAppend(writers: readonly PartitionWriter[]): Side {
  let next = 1n;
  const value = randomBytes(recordBytes);
  return async () => {
    const first = next;
    next += BigInt(recordsPerRequest * requestsPerPartition);
    const beganMs = performance.now();
    await Promise.all(
      writers.map(async (writer) => {
        for (let request = 0; request < requestsPerPartition; request += 1) {
          const writes = Array.from({ length: recordsPerRequest }, () => newWrite(value));
          await writer.append(first + BigInt(request * recordsPerRequest), writes);
        }
      }),
    );
    return performance.now() - beganMs;
  };
}

function newWrite(value: Uint8Array): LogWrite {
  return { kind: 'record', eventId: randomBytes(16), value, recordedAtMs: Date.now() };
}

async function readAll(log: EventLog): Promise<number> {
  const reader = await log.openReader({
    group: `bench-${randomBytes(6).toString('hex')}`,
    topics: [topic.name],
    startAt: async (assigned) => await Promise.resolve(assigned.map(() => 0n)),
  });
  const beganMs = performance.now();
  for (let seen = 0; seen < records;) {
    const batches = await reader.poll({ recordsMax: 2_000, waitMs: 100 });
    seen += batches.reduce((sum, { entries }) => sum + entries.length, 0);
  }
  const tookMs = performance.now() - beganMs;
  await reader.close();
  return tookMs;
}
