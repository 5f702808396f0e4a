import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseConfig } from './config.ts';

describe('the configuration of privacy', () => {
  it('has defaults and is frozen', () => {
    const config = parseConfig({});
    assert.deepEqual(config, { compactionBoundMs: 86_400_000, backupHorizonMs: 2_592_000_000 });
    assert.ok(Object.isFrozen(config));
  });

  it('is refused with every problem at once', () => {
    const env = {
      LETHE_PRIVACY_COMPACTION_BOUND_HOURS: '0',
      LETHE_PRIVACY_BACKUP_HORIZON_DAYS: 'soon',
    };
    assert.throws(
      () => parseConfig(env),
      (error) => {
        assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
        return error.violations.length === 2;
      },
    );
  });
});
