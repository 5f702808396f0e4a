import { z } from 'zod';
import { defaultEventStoreOptions, type EventStoreOptions } from './append.ts';

/** The settings of an event owner, without the service's prefix; see EventStoreOptions. */
export const ownerSettings = {
  FENCE_SKEW_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(60 * 60 * 1000)
    .default(defaultEventStoreOptions.fenceSkewMs),
  PENDING_ROWS_MAX: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(10_000_000)
    .default(defaultEventStoreOptions.pendingRowsMax),
};

/** The record limit is the log's, not an operator's: it is no setting. */
export function ownerOptions(settings: {
  readonly fenceSkewMs: number;
  readonly pendingRowsMax: number;
}): EventStoreOptions {
  return { ...settings, recordBytesMax: defaultEventStoreOptions.recordBytesMax };
}
