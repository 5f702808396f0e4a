import {
  callSeconds,
  type MetricTable,
  waitSeconds,
} from '@lethe/platform/telemetry/metric-table.ts';

/** Of the way into the ledger. */
export const analyticsMetrics = {
  'lethe.ledger.freshness': {
    kind: 'gauge',
    unit: 's',
    description:
      'How long ago the moment is up to which the ledger is complete; absent after a start until it is known.',
    attributes: [],
  },
  'lethe.ledger.coverage': {
    kind: 'gauge',
    unit: '1',
    description:
      'The share of committed sequences whose chunks are inserted without a gap before them; 1 is whole.',
    attributes: ['messaging.destination.name'],
  },
  'lethe.ledger.coverage.gap.age': {
    kind: 'gauge',
    unit: 's',
    description:
      'How long ago the oldest chunk was committed that is not inserted; 0 when all are.',
    attributes: [],
  },
  'lethe.ledger.insert.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long an insert into ClickHouse took.',
    attributes: ['error.type'],
    boundaries: callSeconds,
  },
  'lethe.projection.chunk.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'From a chunk that was read to its rows in the ledger.',
    attributes: ['error.type'],
    boundaries: waitSeconds,
  },
} as const satisfies MetricTable;
