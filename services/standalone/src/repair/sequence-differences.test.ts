import assert from 'node:assert/strict';
import fc from 'fast-check';
import { differencesOf, isWithin } from './sequence-differences.ts';

const at = { topic: 'tickets.v1', partition: 0 };
const counter = (last: bigint, published = last) => ({
  partition: 0,
  lastSequence: last,
  lastPublished: published,
});
const stored = (present: readonly bigint[], erased: readonly bigint[] = [], last?: bigint) => ({
  ...at,
  lastSequence: last ?? present.at(-1) ?? 0n,
  nextOffset: BigInt(present.length),
  present,
  erased,
});
const tables = { counter: counter(3n), erasedRuns: [], consumedTo: 0n, risen: [] };

describe('log and table of a partition', () => {
  it('fit when each sequence is on the log or listed as erased', () => {
    assert.equal(differencesOf(stored([1n, 2n, 3n]), tables), undefined);
    const erasedRuns = [{ first: 2n, last: 2n }];
    assert.equal(differencesOf(stored([1n, 3n], [2n]), { ...tables, erasedRuns }), undefined);
    assert.equal(differencesOf(stored([1n, 3n]), { ...tables, erasedRuns }), undefined);
  });

  it('fit while a batch is on its way, wherever it ends', () => {
    const underWay = { ...tables, counter: counter(5n, 3n) };
    for (const present of [
      [1n, 2n, 3n],
      [1n, 2n, 3n, 4n],
      [1n, 2n, 3n, 4n, 5n],
    ]) {
      assert.equal(differencesOf(stored(present), underWay), undefined);
    }
  });

  it('differ when the log is ahead, also of a table that is not there', () => {
    assert.equal(differencesOf(stored([1n, 2n, 3n, 4n]), tables)?.isAhead, true);
    assert.equal(differencesOf(stored([1n]), { ...tables, counter: undefined })?.isAhead, true);
  });

  it('differ when the log lost records, at its end or in the midst', () => {
    assert.deepEqual(differencesOf(stored([1n]), tables)?.lost, [2n, 3n]);
    assert.deepEqual(differencesOf(stored([1n, 3n]), tables)?.lost, [2n]);
  });

  it('differ when an erasure is not listed, and when the log forgot it', () => {
    assert.deepEqual(differencesOf(stored([1n, 3n], [2n]), tables)?.unlisted, [2n]);
    const forgotten = { ...tables, erasedRuns: [{ first: 2n, last: 2n }], risen: [2n] };
    assert.deepEqual(differencesOf(stored([1n, 2n, 3n]), forgotten)?.risen, [2n]);
  });

  it('differ when a consumer goes on beyond the end', () => {
    const overrun = differencesOf(stored([1n, 2n, 3n]), { ...tables, consumedTo: 9n })?.overrun;
    assert.equal(overrun, 9n);
  });

  it('find a sequence in ascending runs as a walk through them does', () => {
    const lengths = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 })),
    );
    fc.assert(
      fc.property(lengths, fc.bigInt({ min: 0n, max: 60n }), (pairs, sequence) => {
        let end = 0n;
        const runs = pairs.map(([gap, length]) => {
          const first = end + BigInt(gap) + 1n;
          end = first + BigInt(length) - 1n;
          return { first, last: end };
        });
        const isThere = runs.some(({ first, last }) => first <= sequence && sequence <= last);
        assert.equal(isWithin(runs, sequence), isThere);
      }),
    );
  });
});
