import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { z } from 'zod';

/** How `privacy` is to behave; everything that it talks to comes as a port. */
export interface PrivacyConfig {
  /** Until compaction has removed tombstoned records from every log segment, milliseconds. */
  readonly compactionBoundMs: number;
  /** Until the last backup that may hold erased bytes is gone, milliseconds. */
  readonly backupHorizonMs: number;
}

const hourMs = 3_600_000;

/** The variables, with their meaning. */
export const settings = z.object({
  LETHE_PRIVACY_COMPACTION_BOUND_HOURS: z.coerce
    .number()
    .int()
    .min(1)
    .max(720)
    .default(24)
    .describe(
      'Until compaction has removed tombstoned records from every log segment, hours; for certificates.',
    ),
  LETHE_PRIVACY_BACKUP_HORIZON_DAYS: z.coerce
    .number()
    .int()
    .min(0)
    .max(365)
    .default(30)
    .describe('Until the last backup that may hold erased bytes is gone, days; for certificates.'),
});

/** Pure. Throws CONFIG_INVALID with every broken setting; an empty environment gives the defaults. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): PrivacyConfig {
  const read = parseEnvironment('privacy', settings, env);
  return Object.freeze({
    compactionBoundMs: read.LETHE_PRIVACY_COMPACTION_BOUND_HOURS * hourMs,
    backupHorizonMs: read.LETHE_PRIVACY_BACKUP_HORIZON_DAYS * 24 * hourMs,
  });
}
