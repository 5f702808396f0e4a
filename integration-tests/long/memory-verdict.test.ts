import assert from 'node:assert/strict';
import fc from 'fast-check';
import { flatSlopeMaxMib, judge, type MemorySample } from './memory-verdict.ts';

const mib = 2 ** 20;

/** RSS over the records, a sample for each 5,000. */
function samplesOf(rssMib: (records: number, index: number) => number): MemorySample[] {
  return Array.from({ length: 200 }, (_, index) => {
    const records = (index + 1) * 5_000;
    return { atS: index * 10, records, rss: rssMib(records, index) * mib };
  });
}

describe('the verdict on memory', () => {
  it('is flat after a steep warm-up, with noise and single peaks', () => {
    const noisy = samplesOf((records, index) => {
      const warm = Math.min(records, 400_000) / 400;
      return 500 + warm + (index % 7) * 10 + (index % 11 === 0 ? 800 : 0);
    });
    const verdict = judge(noisy);
    assert.ok(verdict.isFlat, `${verdict.slopeMib} MiB for 100,000 records`);
  });

  it('finds a leak of any size above the limit under the same noise', () => {
    fc.assert(
      fc.property(fc.double({ min: flatSlopeMaxMib + 1, max: 500, noNaN: true }), (slopeMib) => {
        const leaking = samplesOf(
          (records, index) => 500 + (slopeMib * records) / 100_000 + (index % 7) * 10,
        );
        assert.equal(judge(leaking).isFlat, false);
      }),
    );
  });

  it('gives the slope of the second half in MiB for 100,000 records', () => {
    const { slopeMib, samples } = judge(samplesOf((records) => 700 + records / 50_000));
    assert.ok(Math.abs(slopeMib - 2) < 0.001);
    assert.equal(samples, 101);
  });

  it('needs samples', () => {
    assert.throws(() => judge([]), RangeError);
  });
});
