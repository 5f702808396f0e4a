import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Topic, topics } from '@lethe/proto/topics.ts';
import { repository } from '../temporary-tree.ts';
import type { Report } from './figure.ts';
import { shortNumber } from './render.ts';
import type { StoredBytes } from './stored-bytes.ts';

/**
 * The tables of docs/operators/capacity.md, made of the kept runs alone: whoever measures anew gets new tables, and a test
 * holds the page to them.
 */
export interface CapacityInputs {
  /** On real systems. */
  readonly real: Report;
  readonly bytes: StoredBytes;
}

/** Processor time of an event, µs. */
interface CpuCost {
  readonly ours: number;
  readonly kafka: number;
  readonly postgres: number;
  readonly clickHouse: number;
}

const microsPerSecond = 1_000_000;
const secondsPerDay = 86_400;
const replicas = 3;
/** Of an event on the log: as a busy relay batches, and alone. */
const batched = 500;

const rates = [
  { perSecond: 10, remark: '' },
  { perSecond: 100, remark: '' },
  { perSecond: 1_000, remark: '' },
  { perSecond: 1e9 / secondsPerDay, remark: ', 10⁹ a day' },
] as const;

/** Throws where a run lacks what the tables are made of. */
function measuredOf({ figures }: Report, name: string): number {
  const figure = figures.find((each) => each.name === name);
  if (figure === undefined) throw new RangeError(`the kept run has no figure ${name}`);
  return figure.measured;
}

function notedOf({ figures }: Report, name: string, form: RegExp): readonly number[] {
  const notes = figures.find((each) => each.name === name)?.notes ?? [];
  const found = notes.map((note) => form.exec(note)).find((match) => match !== null);
  if (found === undefined || found === null) throw new RangeError(`${name} does not note ${form}`);
  return found.slice(1).map(Number);
}

function cpuCost(real: Report): CpuCost {
  const form = /Kafka (\d+), PostgreSQL (\d+), the ClickHouse front (\d+)/;
  const [kafka = 0, postgres = 0, clickHouse = 0] = notedOf(real, 'cpu-per-event', form);
  return { ours: measuredOf(real, 'cpu-per-event'), kafka, postgres, clickHouse };
}

/** Bytes that an event takes in each store. */
interface ByteCost {
  readonly record: number;
  /** One replica. */
  readonly kafka: number;
  readonly kafkaAlone: number;
  readonly postgres: number;
  readonly ledger: number;
}

function byteCost(bytes: StoredBytes): ByteCost {
  const segmentBytesOf = (perTransaction: number): number => {
    const found = bytes.kafka.find((each) => each.perTransaction === perTransaction);
    if (found === undefined) throw new RangeError(`no records ${perTransaction} a transaction`);
    return (found.segmentBytes - found.valueBytes) / found.records;
  };
  const counted = bytes.topics.filter(({ topic }) => topic !== 'privacy.v1');
  const record = sumOf(counted, ({ valueBytes }) => valueBytes) / bytes.events;
  return {
    record,
    kafka: record + segmentBytesOf(batched),
    kafkaAlone: record + segmentBytesOf(1),
    postgres: sumOf(bytes.postgres, (table) => table.bytes) / bytes.events,
    ledger: bytes.ledger.onDisk / bytes.events,
  };
}

function sumOf<T>(all: readonly T[], valueOf: (each: T) => number): number {
  return all.reduce((sum, each) => sum + valueOf(each), 0);
}

const table = (heading: readonly string[], rows: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return line(heading) + line(heading.map(() => '---')) + rows.map(line).join('');
};

/** What an event costs, and where that was measured. */
export function renderCosts({ real, bytes }: CapacityInputs): string {
  const cpu = cpuCost(real);
  const [relayUs = 0] = notedOf(real, 'log-append', /CPU of the process per record: ([\d.]+) µs/);
  const [readUs = 0] = notedOf(real, 'log-read', /CPU of the process per record: ([\d.]+) µs/);
  const projection = microsPerSecond / measuredOf(real, 'projection');
  const size = byteCost(bytes);
  const us = (value: number) => `${shortNumber(value)} µs`;
  const b = (value: number) => `${shortNumber(Math.round(value))} B`;
  const keys = (kind: 'person' | 'ticket') => bytes.dataKeys[kind] / bytes.events;
  return table(
    ['an event costs', '', 'from'],
    [
      ['processor time of the six services', us(cpu.ours), '`cpu-per-event`'],
      ['– of it writing to Kafka', us(relayUs), '`log-append`'],
      ['– of it reading from Kafka, each reader', us(readUs), '`log-read`'],
      ['– of it the projection, reading included', us(projection), '`projection`'],
      ['processor time of Kafka', us(cpu.kafka), '`cpu-per-event`'],
      ['processor time of PostgreSQL', us(cpu.postgres), '`cpu-per-event`'],
      ['processor time of the front over ClickHouse', us(cpu.clickHouse), '`cpu-per-event`'],
      ['its record', b(size.record), 'bytes'],
      ['on each replica of Kafka, 500 in a transaction', b(size.kafka), 'bytes'],
      ['on each replica of Kafka, alone in a transaction', b(size.kafkaAlone), 'bytes'],
      ['in PostgreSQL, all schemas, with indexes', b(size.postgres), 'bytes'],
      [
        'in the ledger, before anything merges for long',
        `${b(size.ledger)}, ${shortNumber(bytes.ledger.rows / bytes.events)} rows`,
        'bytes',
      ],
      ['new data keys of tickets', shortNumber(keys('ticket')), 'bytes'],
      ['new data keys of persons', shortNumber(keys('person')), 'bytes'],
    ],
  );
}

/** Which tables of PostgreSQL an event's bytes lie in, the largest first. */
export function renderTables({ bytes }: CapacityInputs): string {
  const all = sumOf(bytes.postgres, (each) => each.bytes);
  const large = bytes.postgres
    .filter((each) => each.bytes / all >= 0.01)
    .toSorted((left, right) => right.bytes - left.bytes);
  const rest = all - sumOf(large, (each) => each.bytes);
  const rowOf = (name: string, rows: string, part: number) => [
    name,
    rows,
    `${shortNumber(Math.round(part / bytes.events))} B`,
    `${Math.round((100 * part) / all)} %`,
  ];
  return table(
    ['table', 'rows', 'bytes for each event', 'share'],
    [
      ...large.map((each) =>
        rowOf(`\`${each.schema}.${each.table}\``, shortNumber(each.rows), each.bytes),
      ),
      rowOf('all others', '', rest),
    ],
  );
}

/** Multiplied: nothing above a thousand events a second was run. */
export function renderRates({ real, bytes }: CapacityInputs): string {
  const cpu = cpuCost(real);
  const size = byteCost(bytes);
  const cores = (us: number, perSecond: number) => shortNumber((us * perSecond) / microsPerSecond);
  const perDay = (byteCount: number, perSecond: number) =>
    sizeText(byteCount * perSecond * secondsPerDay);
  return table(
    [
      'events a second, mean',
      'cores: six services',
      'Kafka',
      'PostgreSQL',
      'ClickHouse',
      'a day: Kafka, 3 replicas',
      'PostgreSQL',
      'ledger',
    ],
    rates.map(({ perSecond, remark }) => [
      `${shortNumber(perSecond)}${remark}`,
      cores(cpu.ours, perSecond),
      cores(cpu.kafka, perSecond),
      cores(cpu.postgres, perSecond),
      cores(cpu.clickHouse, perSecond),
      perDay(replicas * size.kafka, perSecond),
      perDay(size.postgres, perSecond),
      perDay(size.ledger, perSecond),
    ]),
  );
}

/** How many pods the chart allows in all. */
function podsOfTheChart(): number {
  const file = join(repository, 'charts/lethe/files/services.json');
  const facts = JSON.parse(readFileSync(file, 'utf8')) as Readonly<
    Record<string, { readonly podsMax: number }>
  >;
  return sumOf(Object.values(facts), ({ podsMax }) => podsMax);
}

/** What ends first. */
export function renderBounds({ real }: CapacityInputs): string {
  const cpu = cpuCost(real);
  const processes = podsOfTheChart();
  const manifest: readonly Topic[] = topics;
  const partitions = manifest.find(({ name }) => name === 'tickets.v1')?.partitions ?? 0;
  const perSecond = (value: number, what = 'events/s') => `${shortNumber(value)} ${what}`;
  const [firstDay, projected] = [1e9 / secondsPerDay, measuredOf(real, 'projection')];
  const all = (processes * microsPerSecond) / cpu.ours;
  return table(
    ['bound', 'how much', 'how it is known'],
    [
      [
        'one process with all six services, two cores for it and all systems',
        perSecond(measuredOf(real, 'end-to-end')),
        '`end-to-end`, measured',
      ],
      [
        'all cores of one machine, shared by services and systems, each',
        perSecond(
          microsPerSecond / (cpu.ours + cpu.kafka + cpu.postgres + cpu.clickHouse),
          'events/s a core',
        ),
        'the sum of the processor times above',
      ],
      [
        `${processes} processes, which is what the chart allows, a core each and evenly busy`,
        perSecond(all),
        `multiplied; ${shortNumber(all / firstDay)} times the mean of 10⁹ a day, so no room for a peak`,
      ],
      [
        'one topic: one process relays all its partitions',
        perSecond(measuredOf(real, 'log-append'), 'records/s'),
        '`log-append`, measured with two cores for it and the broker; SQL not counted',
      ],
      [
        `the projection on ${partitions} pods, a core each`,
        perSecond(partitions * projected),
        '`projection`, multiplied',
      ],
    ],
  );
}

function sizeText(byteCount: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log10(byteCount) / 3));
  return `${shortNumber(byteCount / 1_000 ** step)} ${units[step] ?? 'B'}`;
}

/** How the bytes were measured. */
export function renderMeasured({ bytes }: CapacityInputs): string {
  const { made, events, measuredAt, node, topics: measured } = bytes;
  const perTopic = measured.map(
    ({ topic, records, valueBytes }) =>
      `\`${topic}\` ${shortNumber(records)} (${shortNumber(Math.round(valueBytes / records))} B)`,
  );
  const onKafka = bytes.kafka.map(
    ({ perTransaction, records, valueBytes, segmentBytes }) =>
      `${perTransaction}: ${shortNumber(Math.round((segmentBytes - valueBytes) / records))} B`,
  );
  return (
    `- ${made}, Node ${node}, ${measuredAt}: ${shortNumber(events)} events, ${shortNumber(bytes.ledger.chunks)} chunks\n` +
    `- records and their mean size: ${perTopic.join(', ')}\n` +
    `- what Kafka adds to a record, by records in a transaction: ${onKafka.join(', ')}\n`
  );
}
