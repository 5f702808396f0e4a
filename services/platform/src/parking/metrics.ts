import type { MetricTable } from '../telemetry/metric-table.ts';

/** Of what could not be applied. */
export const parkingMetrics = {
  'lethe.parking.streams': {
    kind: 'gauge',
    unit: '{stream}',
    description: 'Streams that are parked: their events wait for a replay.',
    attributes: ['messaging.destination.name'],
  },
} as const satisfies MetricTable;
