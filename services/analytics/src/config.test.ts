import assert from 'node:assert/strict';
import { parseConfig } from './config.ts';

describe('the settings of analytics', () => {
  it('have defaults', () => {
    assert.deepEqual(parseConfig({}), {
      chunkRecordsMax: 2_000,
      chunkFillMs: 200,
      completenessPollMs: 500,
      answerRowsMax: 10_000,
      ledgerStatementsMax: 16,
      ledgerCluster: undefined,
      ledgerTables: 'create',
    });
  });

  it('are refused with every problem at once', () => {
    const env = {
      LETHE_ANALYTICS_CHUNK_RECORDS_MAX: '0',
      LETHE_ANALYTICS_ANSWER_ROWS_MAX: 'many',
      LETHE_ANALYTICS_LEDGER_CLUSTER: 'a; DROP TABLE',
      LETHE_ANALYTICS_LEDGER_TABLES: 'maybe',
    };
    assert.throws(
      () => parseConfig(env),
      (error: { reason?: string; violations?: readonly { field: string }[] }) =>
        error.reason === 'CONFIG_INVALID' &&
        error.violations?.map((violation) => violation.field).join() === Object.keys(env).join(),
    );
  });
});
