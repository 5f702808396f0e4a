import { type MetricTable, waitSeconds } from '../telemetry/metric-table.ts';

/** Of whoever reads the log. */
export const consumerMetrics = {
  'lethe.consumer.lag': {
    kind: 'gauge',
    unit: 's',
    description:
      'For how long the partitions that this process has were not read to their end, the worst of a topic; 0 when caught up.',
    attributes: ['lethe.consumer', 'messaging.destination.name'],
  },
  'lethe.consumer.delay': {
    kind: 'histogram',
    unit: 's',
    description: 'From the recording of an event to its effect, of the first of a batch.',
    attributes: ['lethe.consumer', 'messaging.destination.name'],
    boundaries: waitSeconds,
  },
  'lethe.consumer.records': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records whose effect was committed.',
    attributes: ['lethe.consumer', 'messaging.destination.name'],
  },
  'lethe.log.retention.margin': {
    kind: 'gauge',
    unit: 's',
    description:
      'What the log keeps records for, less the lag of this reader; infinite where it keeps them for ever.',
    attributes: ['lethe.consumer', 'messaging.destination.name'],
  },
} as const satisfies MetricTable;
