import { callSeconds, type MetricTable } from '../telemetry/metric-table.ts';

/** Of appends. */
export const appendMetrics = {
  'lethe.append.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long it took to append a batch, from its leases to its commit.',
    attributes: ['messaging.destination.name', 'error.type'],
    boundaries: callSeconds,
  },
  'lethe.append.events': {
    kind: 'counter',
    unit: '{event}',
    description: 'Events that were answered, by outcome.',
    attributes: ['messaging.destination.name', 'lethe.append.outcome'],
  },
} as const satisfies MetricTable;
