import { z } from 'zod';
import { defaultEventStoreOptions, type EventStoreOptions } from './append.ts';

/** The settings of an event owner, without the service's prefix; see EventStoreOptions. */
export const ownerSettings = {
  FENCE_SKEW_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(60 * 60 * 1000)
    .default(defaultEventStoreOptions.fenceSkewMs)
    .describe(
      'How far clocks of sources may be behind when events of a person are measured against an erasure, milliseconds.',
    ),
  PENDING_ROWS_MAX: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(10_000_000)
    .default(defaultEventStoreOptions.pendingRowsMax)
    .describe(
      'Committed events that may wait for the log; beyond it appends are told to come later.',
    ),
  // Not below the largest message of appends, which would never find room.
  PENDING_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(16 * 1024 * 1024)
    .max(1024 ** 4)
    .default(defaultEventStoreOptions.pendingBytesMax)
    .describe('Their bytes.'),
  PENDING_AGE_MAX_MS: z.coerce
    .number()
    .int()
    .min(10_000)
    .max(30 * 24 * 60 * 60 * 1000)
    .default(defaultEventStoreOptions.pendingAgeMaxMs)
    .describe('How long the oldest of them may have waited, milliseconds.'),
};

/** The record limit is the log's, not an operator's: it is no setting. */
export function ownerOptions(
  settings: Omit<EventStoreOptions, 'recordBytesMax'>,
): EventStoreOptions {
  return { ...settings, recordBytesMax: defaultEventStoreOptions.recordBytesMax };
}
