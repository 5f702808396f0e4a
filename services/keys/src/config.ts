import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { z } from 'zod';
import { leaseTtlMaxMs } from './domain/generations.ts';

/** How `keys` is to behave; everything that it talks to comes as a port. */
export interface KeysConfig {
  /** How long a lease lives, milliseconds; at most 60,000. */
  readonly leaseTtlMs: number;
  /** How long after its end a calendar month still gets contributors, milliseconds. */
  readonly monthGraceMs: number;
  /**
   * Whether every holder lives in this very process, as in standalone: then none of a former process can hold a lease,
   * and an erasure right after a start need not wait for one.
   */
  readonly holdersEndWithProcess: boolean;
  /** How long an unwrapped tenant key is used before the KMS is asked again, milliseconds. */
  readonly tenantKeyTtlMs: number;
}

const hourMs = 3_600_000;

/** The variables, with their meaning. */
export const settings = z.object({
  LETHE_KEYS_LEASE_TTL_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(leaseTtlMaxMs)
    .default(30_000)
    .describe('How long a lease of a data key lives, milliseconds.'),
  LETHE_KEYS_MONTH_GRACE_MS: z.coerce
    .number()
    .int()
    .min(hourMs)
    .max(28 * 24 * hourMs)
    .default(72 * hourMs)
    .describe('How long after its end a month still gets contributors, milliseconds.'),
  LETHE_KEYS_HOLDERS_END_WITH_PROCESS: z
    .stringbool()
    .default(false)
    .describe(
      'Of no use but to a process that holds all services: no lease of a former process is waited for.',
    ),
  LETHE_KEYS_TENANT_KEY_TTL_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(hourMs)
    .default(60_000)
    .describe(
      'How long an unwrapped tenant key is used before the KMS is asked again, milliseconds.',
    ),
});

/** Pure. Throws CONFIG_INVALID with every broken setting; an empty environment gives the defaults. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): KeysConfig {
  const parsed = parseEnvironment('keys', settings, env);
  return Object.freeze({
    leaseTtlMs: parsed.LETHE_KEYS_LEASE_TTL_MS,
    monthGraceMs: parsed.LETHE_KEYS_MONTH_GRACE_MS,
    holdersEndWithProcess: parsed.LETHE_KEYS_HOLDERS_END_WITH_PROCESS,
    tenantKeyTtlMs: parsed.LETHE_KEYS_TENANT_KEY_TTL_MS,
  });
}
