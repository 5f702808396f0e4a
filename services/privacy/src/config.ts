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

const environment = z.object({
  LETHE_PRIVACY_COMPACTION_BOUND_HOURS: z.coerce.number().int().min(1).max(720).default(24),
  LETHE_PRIVACY_BACKUP_HORIZON_DAYS: z.coerce.number().int().min(0).max(365).default(30),
});

/** Pure. Throws CONFIG_INVALID with every broken setting; an empty environment gives the defaults. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): PrivacyConfig {
  const settings = parseEnvironment('privacy', environment, env);
  return Object.freeze({
    compactionBoundMs: settings.LETHE_PRIVACY_COMPACTION_BOUND_HOURS * hourMs,
    backupHorizonMs: settings.LETHE_PRIVACY_BACKUP_HORIZON_DAYS * 24 * hourMs,
  });
}
