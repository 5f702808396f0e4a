import { type MetricTable, waitSeconds } from '../telemetry/metric-table.ts';

/** Of what waits for the log, and of how it gets there. */
export const relayMetrics = {
  'lethe.outbox.pending': {
    kind: 'gauge',
    unit: '{row}',
    description: 'Committed rows that are not on the log yet, as back-pressure counts them.',
    attributes: ['messaging.destination.name'],
  },
  'lethe.outbox.pending.size': {
    kind: 'gauge',
    unit: 'By',
    description: 'Bytes of their records.',
    attributes: ['messaging.destination.name'],
  },
  'lethe.relay.lag': {
    kind: 'gauge',
    unit: 's',
    description:
      'The age of the oldest committed record that is not on the log; 0 when none waits.',
    attributes: ['messaging.destination.name'],
  },
  'lethe.relay.delay': {
    kind: 'histogram',
    unit: 's',
    description: 'From the recording of an event to its place on the log, of the first of a batch.',
    attributes: ['messaging.destination.name'],
    boundaries: waitSeconds,
  },
  'lethe.log.compaction.overdue': {
    kind: 'gauge',
    unit: 's',
    description:
      'For how long a partition has owed the log the tick without which erased records stay in its files; 0 when none is overdue.',
    attributes: ['messaging.destination.name'],
  },
} as const satisfies MetricTable;
