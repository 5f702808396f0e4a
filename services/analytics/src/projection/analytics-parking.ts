import type { ParkingOptions } from '@lethe/platform/parking/park.ts';
import type { StreamKind } from '@lethe/platform/parking/store.ts';

/** The topics that are counted, and the kind of scope that protects their streams. */
const streamKinds = {
  'tickets.v1': 'ticket',
  'predictions.v1': 'ticket',
  'usage.v1': 'person',
} as const satisfies Record<string, StreamKind>;

/** The topics whose streams lie under scopes of this kind. */
export function topicsOfKind(kind: StreamKind): readonly string[] {
  return Object.entries(streamKinds).flatMap(([topic, of]) => (of === kind ? topic : []));
}

/** How the projection parks. */
export const analyticsParking: ParkingOptions = {
  service: 'analytics',
  streamKindOf: (topic) => (topic === 'usage.v1' ? streamKinds['usage.v1'] : 'ticket'),
};
