import assert from 'node:assert/strict';
import fc from 'fast-check';
import { breakerLimits, findTrip, type ParkedPlace } from './breaker.ts';

const poison = (sequence: number): ParkedPlace => ({ sequence: BigInt(sequence), isPoison: true });
const waiting = (sequence: number): ParkedPlace => ({
  sequence: BigInt(sequence),
  isPoison: false,
});
const every = (count: number, step: number, from = 1): ParkedPlace[] =>
  Array.from({ length: count }, (_, index) => poison(from + index * step));

describe('the breaker', () => {
  it('takes 99 in a row, and trips at the hundredth', () => {
    assert.equal(findTrip(every(99, 1), 0n), undefined);
    assert.equal(findTrip(every(100, 1), 0n), 100n);
    assert.equal(findTrip(every(150, 1), 0n), 100n);
  });

  it('begins a new row behind an event that was applied', () => {
    assert.equal(findTrip([...every(50, 1), ...every(50, 1, 52)], 0n), undefined);
  });

  it('neither counts nor ends a row with what only waits behind another', () => {
    const mixed = every(99, 2).flatMap((each) => [each, waiting(Number(each.sequence) + 1)]);
    assert.equal(findTrip(mixed, 0n), undefined);
    assert.equal(findTrip([...mixed, poison(199)], 0n), 199n);
    const many = Array.from({ length: 500 }, (_, index) => waiting(index + 2));
    assert.equal(findTrip([poison(1), ...many], 0n), undefined);
  });

  it('takes 100 of 10,000, and trips at the one that is more than 1 %', () => {
    assert.equal(findTrip(every(100, 99), 0n), undefined);
    assert.equal(findTrip(every(101, 99), 0n), 1n + 100n * 99n);
    // The first has left the window when the last comes.
    assert.equal(findTrip(every(101, 100), 0n), undefined);
    assert.equal(findTrip(every(300, 100), 0n), undefined);
  });

  it('trips at new events alone: what was parked once stays parked', () => {
    const places = every(150, 1);
    assert.equal(findTrip(places, 150n), undefined);
    assert.equal(findTrip([...places, poison(151)], 150n), 151n);
    assert.equal(findTrip([...places, poison(153)], 150n), 153n);
    assert.equal(findTrip([...places, poison(10_051)], 150n), undefined);
  });

  it('says the same however the events are cut into batches', () => {
    const limits = { windowEvents: 40n, poisonMax: 6, inARowMax: 4 };
    const places = fc.array(fc.constantFrom('good', 'good', 'good', 'poison', 'waiting'), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(
        places,
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (kinds, cuts) => {
          const all = kinds.flatMap((kind, index) =>
            kind === 'good' ? [] : [kind === 'poison' ? poison(index + 1) : waiting(index + 1)],
          );
          const whole = findTrip(all, 0n, limits);
          let stepped: bigint | undefined;
          let after = 0n;
          for (let cut = 0; after < BigInt(kinds.length) && stepped === undefined; cut += 1) {
            const to = after + BigInt(cuts[cut % cuts.length] ?? 1);
            const seen = all.filter(
              ({ sequence }) => sequence > after - limits.windowEvents && sequence <= to,
            );
            stepped = findTrip(seen, after, limits);
            after = to;
          }
          assert.equal(stepped, whole);
        },
      ),
    );
    assert.equal(breakerLimits.windowEvents / 100n, BigInt(breakerLimits.poisonMax));
  });
});
