import { callSeconds, type MetricTable } from '@lethe/platform/telemetry/metric-table.ts';

/** Of the KMS and of the first of the three clocks. */
export const keysMetrics = {
  'lethe.kms.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'How long calls to the KMS took; with error.type those that failed.',
    attributes: ['lethe.kms.operation', 'error.type'],
    boundaries: callSeconds,
  },
  'lethe.kms.away': {
    kind: 'gauge',
    unit: 's',
    description:
      'For how long every call to the KMS has failed because it is away, sealed, refuses or is set up wrong; 0 since it answered one.',
    attributes: [],
  },
  'lethe.erasure.readable.age': {
    kind: 'gauge',
    unit: 's',
    description:
      'How long ago the oldest erasure was fenced that somebody may still be able to read; 0 when there is none.',
    attributes: [],
  },
} as const satisfies MetricTable;
