import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseConfig } from './config.ts';

describe('the configuration of standalone', () => {
  it('has a default for everything and is frozen', () => {
    const config = parseConfig({});
    assert.equal(config.port, 7480);
    assert.ok(config.dataFolder.endsWith('/.lethe'));
    assert.ok(Object.isFrozen(config));
  });

  it('names every broken setting at once, and no value', () => {
    const env = { LETHE_PORT: '70000', LETHE_HOST: '0.0.0.0', LETHE_LOG_LEVEL: 'loud' };
    assert.throws(
      () => parseConfig(env),
      (error) => {
        assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
        const fields = error.violations.map(({ field }) => field).toSorted();
        assert.deepEqual(fields, ['LETHE_HOST', 'LETHE_LOG_LEVEL', 'LETHE_PORT']);
        assert.ok(!error.message.includes('70000') && !error.message.includes('"loud"'));
        return true;
      },
    );
  });
});
