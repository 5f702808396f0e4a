import assert from 'node:assert/strict';
import { parseConfig } from './config.ts';

describe('the settings of tickets', () => {
  it('have defaults', () => {
    assert.deepEqual(parseConfig({}).eventStore, {
      fenceSkewMs: 60_000,
      recordBytesMax: 900 * 1024,
      pendingRowsMax: 50_000,
      pendingBytesMax: 256 * 1024 * 1024,
      pendingAgeMaxMs: 15 * 60 * 1000,
    });
  });

  it('are refused with every problem at once', () => {
    const env = { LETHE_TICKETS_FENCE_SKEW_MS: '-1', LETHE_TICKETS_PENDING_ROWS_MAX: 'many' };
    assert.throws(
      () => parseConfig(env),
      (error: { reason?: string; violations?: readonly { field: string }[] }) =>
        error.reason === 'CONFIG_INVALID' &&
        error.violations?.map((violation) => violation.field).join() === Object.keys(env).join(),
    );
  });
});
