import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseConfig } from './config.ts';

describe('parseConfig of keys', () => {
  it('has defaults for everything', () => {
    assert.deepEqual(parseConfig({}), {
      leaseTtlMs: 30_000,
      monthGraceMs: 72 * 3_600_000,
      holdersEndWithProcess: false,
      tenantKeyTtlMs: 60_000,
    });
  });

  it('collects all problems: no lease outlives a minute, no month stays open for another', () => {
    const env = { LETHE_KEYS_LEASE_TTL_MS: '60001', LETHE_KEYS_MONTH_GRACE_MS: '2678400000' };
    assert.throws(
      () => parseConfig(env),
      (error: unknown) =>
        error instanceof ServiceError &&
        error.reason === 'CONFIG_INVALID' &&
        error.violations.length === 2,
    );
  });

  it('is frozen', () => {
    assert.ok(Object.isFrozen(parseConfig({})));
  });
});
