import assert from 'node:assert/strict';
import fc from 'fast-check';
import { monthOf, openMonths } from './months.ts';

const graceMs = 72 * 3_600_000;
const november = 2026 * 12 + 10;

describe('months', () => {
  it('are counted from year and month in UTC', () => {
    assert.equal(monthOf(Date.UTC(2026, 10, 1)), november);
    assert.equal(monthOf(Date.UTC(2026, 10, 1) - 1), november - 1);
  });

  it('stay open until their grace is over', () => {
    const end = Date.UTC(2026, 11, 1);
    assert.deepEqual(openMonths(end - 1, graceMs), [november]);
    assert.deepEqual(openMonths(end, graceMs), [november, november + 1]);
    assert.deepEqual(openMonths(end + graceMs - 1, graceMs), [november, november + 1]);
    assert.deepEqual(openMonths(end + graceMs, graceMs), [november + 1]);
  });

  it('law: the current month is open, none ahead is, and none opens again', () => {
    const times = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2100, 0, 1) });
    fc.assert(
      fc.property(times, fc.nat(1e10), (nowMs, laterMs) => {
        const now = openMonths(nowMs, graceMs);
        assert.equal(now.at(-1), monthOf(nowMs));
        const [firstLater = 0] = openMonths(nowMs + laterMs, graceMs);
        assert.ok(firstLater >= (now[0] ?? 0));
      }),
    );
  });
});
