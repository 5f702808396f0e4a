import type { ParkingOptions } from '@lethe/platform/parking/park.ts';
import type { StreamKind } from '@lethe/platform/parking/store.ts';

/** The topics that are counted, and the kind of scope that protects their streams. */
export const streamKinds = {
  'tickets.v1': 'ticket',
  'predictions.v1': 'ticket',
  'usage.v1': 'person',
} as const satisfies Record<string, StreamKind>;

/** How the projection parks. */
export const analyticsParking: ParkingOptions = {
  service: 'analytics',
  streamKindOf: (topic) => (topic === 'usage.v1' ? streamKinds['usage.v1'] : 'ticket'),
};
