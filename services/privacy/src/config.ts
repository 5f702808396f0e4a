import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';

/** What `privacy` runs with. */
export interface PrivacyConfig {
  /** Until compaction has removed tombstoned records from every log segment, milliseconds. */
  readonly compactionBoundMs: number;
  /** Until the last backup that may hold erased bytes is gone, milliseconds. */
  readonly backupHorizonMs: number;
}

const hourMs = 3_600_000;

const environment = z.object({
  LETHE_COMPACTION_BOUND_HOURS: z.coerce.number().int().min(1).max(720).default(24),
  LETHE_BACKUP_HORIZON_DAYS: z.coerce.number().int().min(0).max(365).default(30),
});

/** Pure; collects every problem. Throws CONFIG_INVALID with a violation per setting. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): PrivacyConfig {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    const violations = parsed.error.issues.map((issue) => ({
      field: issue.path.join('.'),
      description: issue.message,
    }));
    const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    throw new ServiceError('CONFIG_INVALID', `Correct these settings: ${list}`, { violations });
  }
  return Object.freeze({
    compactionBoundMs: parsed.data.LETHE_COMPACTION_BOUND_HOURS * hourMs,
    backupHorizonMs: parsed.data.LETHE_BACKUP_HORIZON_DAYS * 24 * hourMs,
  });
}
