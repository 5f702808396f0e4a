import { type MetricTable, waitSeconds } from '@lethe/platform/telemetry/metric-table.ts';

/** The clocks of erasures. */
export const privacyMetrics = {
  'lethe.erasure.open': {
    kind: 'gauge',
    unit: '{erasure}',
    description: 'Erasures that were requested and are not completed.',
    attributes: [],
  },
  'lethe.erasure.open.age': {
    kind: 'gauge',
    unit: 's',
    description: 'How long ago the oldest of them was requested; 0 when none is open.',
    attributes: [],
  },
  'lethe.erasure.unfenced.age': {
    kind: 'gauge',
    unit: 's',
    description:
      'How long ago the oldest erasure was requested whose keys are not destroyed yet; 0 when there is none.',
    attributes: [],
  },
  'lethe.erasure.unreadable.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'The first clock: from the request until nobody can read it any more.',
    attributes: [],
    boundaries: waitSeconds,
  },
  'lethe.erasure.purged.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'The second clock: from the request until rows and records are gone.',
    attributes: [],
    boundaries: waitSeconds,
  },
  'lethe.erasure.ledger.incomplete': {
    kind: 'counter',
    unit: '{erasure}',
    description: 'Completed erasures whose certificate says that the ledger may lack events.',
    attributes: [],
  },
} as const satisfies MetricTable;
