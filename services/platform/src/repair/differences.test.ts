import assert from 'node:assert/strict';
import fc from 'fast-check';
import { differenceOf, gapsIn, sequencesIn } from './differences.ts';

describe('differences between a log on a server and its table', () => {
  const present = [
    { first: 1n, last: 3n },
    { first: 6n, last: 8n },
  ];
  const onLog = { partition: 4, lastSequence: 9n, present };
  const erased = [{ first: 4n, last: 5n }];

  it('are none when every sequence is on the log or listed', () => {
    const counter = { partition: 4, lastSequence: 9n, lastPublished: 9n };
    const listed = [...erased, { first: 9n, last: 9n }];
    assert.equal(differenceOf(onLog, counter, listed), undefined);
    const inFlight = { partition: 4, lastSequence: 12n, lastPublished: 8n };
    assert.equal(differenceOf(onLog, inFlight, listed), undefined);
  });

  it('are what the log has above the table, and what it lacks without being listed', () => {
    const counter = { partition: 4, lastSequence: 2n, lastPublished: 2n };
    assert.deepEqual(differenceOf(onLog, counter, erased), {
      partition: 4,
      lastOnLog: 9n,
      counter,
      ahead: 7n,
      unlisted: [{ first: 9n, last: 9n }],
      behind: 0n,
    });
    assert.equal(differenceOf(onLog, undefined, erased)?.ahead, 9n);
  });

  it('are what was published and is not there any more', () => {
    const counter = { partition: 4, lastSequence: 20n, lastPublished: 15n };
    assert.equal(differenceOf(onLog, counter, [...erased, { first: 9n, last: 9n }])?.behind, 6n);
  });

  it('gaps are exactly what no run covers', () => {
    const run = fc
      .tuple(fc.bigInt(1n, 30n), fc.bigInt(0n, 4n))
      .map(([first, more]) => ({ first, last: first + more }));
    fc.assert(
      fc.property(fc.array(run), fc.bigInt(0n, 40n), (runs, last) => {
        const covered = new Set(sequencesIn(runs));
        const all = sequencesIn(last === 0n ? [] : [{ first: 1n, last }]);
        assert.deepEqual(
          sequencesIn(gapsIn(runs, last)),
          all.filter((sequence) => !covered.has(sequence)),
        );
      }),
    );
  });
});
