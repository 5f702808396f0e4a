import type { MetricTable } from '../telemetry/metric-table.ts';

/** Of leases. */
export const leaseMetrics = {
  'lethe.lease.lookups': {
    kind: 'counter',
    unit: '{lease}',
    description:
      'Leases that were wanted: a hit was at hand, a miss was answered by keys or held on to, a failed one could not be had.',
    attributes: ['lethe.lease.purpose', 'lethe.lease.result'],
  },
} as const satisfies MetricTable;
