import assert from 'node:assert/strict';
import { type CapacityInputs, renderBounds, renderCosts, renderRates } from './capacity.ts';
import type { Figure, Report } from './figure.ts';
import type { StoredBytes } from './stored-bytes.ts';

const figure = (name: string, measured: number, ...notes: readonly string[]): Figure => ({
  name,
  what: name,
  unit: '',
  measured,
  baselineWhat: '',
  baseline: 1,
  ratio: 1,
  ratioQuartiles: [1, 1],
  pairs: 1,
  notes,
});

const servers =
  'µs CPU per event of the servers: Kafka 500, PostgreSQL 250, the ClickHouse front 125';
const perRecord = 'CPU of the process per record: 20.0 µs, kafkajs alone 10.0 µs';
const real: Report = {
  machine: {
    cpuModel: 'A processor',
    cores: 2,
    memoryGib: 16,
    node: '24.0.0',
    loadBefore: 0,
    systems: {},
    startedAt: '2026-01-01T00:00:00.000Z',
  },
  figures: [
    figure('cpu-per-event', 1_000, servers),
    figure('end-to-end', 400),
    figure('log-append', 30_000, perRecord),
    figure('log-read', 90_000, perRecord),
    figure('projection', 20_000),
  ],
  failures: [],
  tookMs: 1,
};
const bytes: StoredBytes = {
  measuredAt: '2026-01-01T00:00:00.000Z',
  node: '24.0.0',
  made: 'by hand',
  events: 100,
  topics: [
    { topic: 'tickets.v1', records: 100, valueBytes: 40_000 },
    { topic: 'privacy.v1', records: 9, valueBytes: 9_000 },
  ],
  kafka: [
    { perTransaction: 500, records: 10, valueBytes: 4_000, segmentBytes: 5_000 },
    { perTransaction: 1, records: 10, valueBytes: 4_000, segmentBytes: 6_000 },
  ],
  postgres: [{ schema: 'tickets', table: 'records', rows: 100, bytes: 100_000 }],
  dataKeys: { person: 5, ticket: 10, facts: 1 },
  ledger: { rows: 50, onDisk: 1_000, chunks: 5 },
};
const inputs: CapacityInputs = { real, bytes };

function rowOf(text: string, first: string): readonly string[] {
  const row = text.split('\n').find((line) => line.startsWith(`| ${first}`)) ?? '';
  return row.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, ''));
}

describe('the tables on capacity', () => {
  it('multiply what one event costs by events, days and replicas', () => {
    const expected = ['1,000', '1', '0.5', '0.25', '0.125', '130 GB', '86.4 GB', '864 MB'];
    assert.deepEqual(rowOf(renderRates(inputs), '1,000'), expected);
    const [, mean] = rowOf(renderRates(inputs), '11,574, 10⁹ a day');
    assert.equal(mean, '11.6');
  });

  it('leave out of an event what the topic of erasures takes', () => {
    assert.equal(rowOf(renderCosts(inputs), 'its record')[1], '400 B');
    assert.equal(rowOf(renderCosts(inputs), 'on each replica of Kafka, 500')[1], '500 B');
    assert.equal(rowOf(renderCosts(inputs), 'on each replica of Kafka, alone')[1], '600 B');
  });

  it('say by how much the pods of the chart exceed a mean of 10⁹ events a day', () => {
    const [, all, how] = rowOf(renderBounds(inputs), '26 processes');
    assert.equal(all, '26,000 events/s');
    assert.match(how ?? '', /2\.25 times the mean/);
  });

  it('are not made of a run that lacks a figure or its note', () => {
    const without = (name: string, put: readonly Figure[] = []): CapacityInputs => ({
      bytes,
      real: { ...real, figures: [...real.figures.filter((each) => each.name !== name), ...put] },
    });
    assert.throws(() => renderRates(without('cpu-per-event')), /cpu-per-event/);
    const unsaid = without('cpu-per-event', [figure('cpu-per-event', 1_000)]);
    assert.throws(() => renderRates(unsaid), /does not note/);
  });
});
