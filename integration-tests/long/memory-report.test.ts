import assert from 'node:assert/strict';
import { memorySummary, memoryTable } from './memory-report.ts';
import { judge } from './memory-verdict.ts';
import type { ServerSample } from './server-memory.ts';

/** A look a minute; the ledger is behind by as many seconds as minutes have passed. */
const samples = Array.from({ length: 101 }, (_, minute): ServerSample => {
  const bytes = 800 * 2 ** 20;
  return {
    atS: minute * 60,
    records: minute * 30_000,
    rss: bytes,
    rssAnon: bytes,
    rssPeak: bytes,
    heapUsed: 0,
    heapLive: 0,
    heapTotal: 0,
    external: 0,
    arrayBuffers: 0,
    wasm: 0,
    wasmResident: 0,
    rest: 0,
    postgresBytes: 0,
    logBytes: 0,
    clickHouseBytes: 0,
    ledgerBehindS: minute,
  };
});

describe('the report of a memory run', () => {
  it('prints rates, freshness and the verdict', () => {
    const run = {
      samples,
      events: 2_400_000,
      accepted: 2_400_000,
      records: 3_000_000,
      sendMs: 6_000_000,
      inLedgerMs: 6_010_000,
    };
    assert.deepEqual(memorySummary(run, judge(samples)).split('\n'), [
      '2,400,000 events answered, 2,400,000 accepted',
      'appends: acknowledged in 1 h 40 min, 400/s',
      'log: 3,000,000 records, 500/s',
      'projection: all in the ledger after 1 h 40 min, 499/s',
      'freshness: the ledger was behind by 50.0 s (median), 99.0 s (p99), 100.0 s (most) at 101 looks',
      'RSS grows by 0.00 MiB for 100,000 records over the second half (51 samples; limit 5): flat',
    ]);
  });

  it('shows the first look, the last, and the rate from row to row', () => {
    const rows = memoryTable(samples, 3)
      .split('\n')
      .map((line) => line.split(' | ').slice(0, 3));
    assert.deepEqual(rows.slice(2), [
      ['| 0.0', '0', ''],
      ['| 50.0', '1,500,000', '500'],
      ['| 100.0', '3,000,000', '500'],
    ]);
  });
});
