import type { MetricTable } from '../telemetry/metric-table.ts';

/** Of a service as a whole. */
export const serviceMetrics = {
  'lethe.problems': {
    kind: 'gauge',
    unit: '{problem}',
    description: 'What its health port names as a problem, by part of the service: 1 or 0.',
    attributes: ['lethe.component', 'error.type'],
  },
  'lethe.ready': {
    kind: 'gauge',
    unit: '{process}',
    description: '1 while calls may come.',
    attributes: [],
  },
  'lethe.tls.certificate.lifetime': {
    kind: 'gauge',
    unit: 's',
    description: 'For how long the certificate in use is valid yet; below 0 once it has expired.',
    attributes: ['lethe.certificate.use'],
  },
  'process.memory.usage': {
    kind: 'gauge',
    unit: 'By',
    description: 'Memory of the process (resident set).',
    attributes: [],
  },
  'nodejs.eventloop.delay.p99': {
    kind: 'gauge',
    unit: 's',
    description: 'How late the event loop was, 99th percentile since the export before.',
    attributes: [],
  },
} as const satisfies MetricTable;
