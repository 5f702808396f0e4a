import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { ownerOptions, ownerSettings } from '@lethe/platform/event-store/config.ts';
import type { EventStoreOptions } from '@lethe/platform/event-store/append.ts';
import { z } from 'zod';

/** How `tickets` is to behave; everything that it talks to comes as a port. */
export interface TicketsConfig {
  readonly eventStore: EventStoreOptions;
}

/** The variables, with their meaning. */
export const settings = z.object({
  LETHE_TICKETS_FENCE_SKEW_MS: ownerSettings.FENCE_SKEW_MS,
  LETHE_TICKETS_PENDING_ROWS_MAX: ownerSettings.PENDING_ROWS_MAX,
  LETHE_TICKETS_PENDING_BYTES_MAX: ownerSettings.PENDING_BYTES_MAX,
  LETHE_TICKETS_PENDING_AGE_MAX_MS: ownerSettings.PENDING_AGE_MAX_MS,
});

/** Pure. Throws CONFIG_INVALID with every broken setting; an empty environment gives the defaults. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): TicketsConfig {
  const read = parseEnvironment('tickets', settings, env);
  return Object.freeze({
    eventStore: ownerOptions({
      fenceSkewMs: read.LETHE_TICKETS_FENCE_SKEW_MS,
      pendingRowsMax: read.LETHE_TICKETS_PENDING_ROWS_MAX,
      pendingBytesMax: read.LETHE_TICKETS_PENDING_BYTES_MAX,
      pendingAgeMaxMs: read.LETHE_TICKETS_PENDING_AGE_MAX_MS,
    }),
  });
}
