import assert from 'node:assert/strict';
import fc from 'fast-check';
import { eventsArbitrary } from '../testing/arbitrary-events.ts';
import {
  claimsOf,
  type ContributionCounter,
  decide,
  type Decisions,
  isAccepted,
  isChosenDay,
} from './accept.ts';
import type { CountedEvent } from './counted-event.ts';
import { acceptedPerMonthMax, families, layouts } from './families.ts';
import { dayOf, dayOfMonth, daysInMonth, monthOf, releaseBucketOf } from './time-buckets.ts';

/** Decides chunk by chunk, carrying the counters as the table does. */
function decideInChunks(chunks: readonly (readonly CountedEvent[])[]): boolean[] {
  const counters = new Map<string, ContributionCounter>();
  return chunks.flatMap((events) => {
    const { decisions, changed } = decide(claimsOf(events), counters);
    for (const [counterKey, counter] of changed) counters.set(counterKey, counter);
    return bitsOf(decisions);
  });
}

function bitsOf(decisions: Decisions): boolean[] {
  return Array.from({ length: decisions.count }, (_, index) => isAccepted(decisions, index));
}

function cut<Item>(items: readonly Item[], places: readonly number[]): Item[][] {
  const ends = [...new Set([...places.map((place) => place % (items.length + 1)), items.length])];
  let start = 0;
  return ends
    .toSorted((left, right) => left - right)
    .map((end) => items.slice(start, (start = end)));
}

/** The released numbers, or days, that accepted events of one person touch, by what the caps count by. */
function acceptedByCounter(events: readonly CountedEvent[]): Map<string, string[]> {
  const accepted = decideInChunks([events]);
  const found = new Map<string, string[]>();
  let claim = 0;
  for (const event of events) {
    for (const change of event.changes) {
      const { family } = change.layout;
      for (const grain of family.release.grains) {
        if (accepted[claim++] !== true) continue;
        const at = event.occurredAtMs;
        const counter = [event.tenantId, family.name, grain, monthOf(at), event.contributor].join();
        const released = family.release.dimensions.map(
          (name) => change.codes[(family.dimensions as readonly string[]).indexOf(name)],
        );
        const cell =
          family.release.cap === 'chosen-days'
            ? `${dayOf(at)}`
            : [releaseBucketOf(grain, at), change.adds[0]?.measure, ...released].join();
        found.set(counter, [...(found.get(counter) ?? []), cell]);
      }
    }
  }
  return found;
}

describe('accept decisions', () => {
  it('are the same for any chunking of the same log order', () => {
    fc.assert(
      fc.property(eventsArbitrary, fc.array(fc.nat()), (events, places) => {
        assert.deepEqual(decideInChunks(cut(events, places)), decideInChunks([events]));
      }),
    );
  });

  it('accept at most M events a month and one per released cell of each person', () => {
    fc.assert(
      fc.property(eventsArbitrary, (events) => {
        for (const cells of acceptedByCounter(events).values()) {
          assert.ok(cells.length <= acceptedPerMonthMax);
          assert.equal(new Set(cells).size, cells.length);
        }
      }),
    );
  });

  it('accept nothing of a closed month', () => {
    fc.assert(
      fc.property(eventsArbitrary, (events) => {
        const backdated = events.map((event) => ({ ...event, contributor: undefined }));
        assert.ok(!decideInChunks([backdated]).includes(true));
      }),
    );
  });

  it('accept nothing of a person who is marked full', () => {
    fc.assert(
      fc.property(eventsArbitrary, (events) => {
        const claims = claimsOf(events);
        const full = new Map(
          [...claims.counters.keys()].map((counterKey) => [
            counterKey,
            { accepted: 0, isFull: true, cells: [] },
          ]),
        );
        const { decisions, changed } = decide(claims, full);
        assert.ok(!bitsOf(decisions).includes(true));
        assert.equal(changed.size, 0);
      }),
    );
  });

  it('accept the first M events of a person in cells of their own, and not one more', () => {
    const events = Array.from({ length: 20 }, (_, day) => created('00000000000000a1', day));
    const accepted = decideInChunks([events]);
    assert.deepEqual(
      accepted.map((isIn, index) => (isIn ? index : -1)).filter((index) => index >= 0),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  });

  it('accept one of two events in the same released cell', () => {
    const twice = [created('00000000000000a1', 1), created('00000000000000a1', 1)];
    assert.deepEqual(decideInChunks([twice]), [true, false]);
  });

  it('keep people, tenants and families apart', () => {
    const one = created('00000000000000a1', 1);
    const others = [
      created('00000000000000a2', 1),
      { ...one, tenantId: 'bolt' as CountedEvent['tenantId'] },
    ];
    assert.deepEqual(decideInChunks([[one, ...others]]), [true, true, true]);
  });
});

function created(contributor: string, day: number): CountedEvent {
  return {
    tenantId: 'acme' as CountedEvent['tenantId'],
    occurredAtMs: Date.UTC(2025, 2, 1 + day, 9),
    contributor,
    changes: [
      { layout: layouts.ticket_flow, codes: [1, 2, 3], adds: [{ measure: 0, amount: 1n }] },
    ],
  };
}

describe('chosen days', () => {
  const contributorArbitrary = fc
    .uint8Array({ minLength: 8, maxLength: 8 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

  it('are M days of the month, whatever the month', () => {
    fc.assert(
      fc.property(contributorArbitrary, fc.integer({ min: 24_000, max: 24_400 }), (who, month) => {
        const days = Array.from({ length: daysInMonth(month) }, (_, index) => index + 1);
        const chosen = days.filter((day) => isChosenDay(who, month, day));
        assert.equal(chosen.length, acceptedPerMonthMax);
      }),
    );
  });

  it('fall on every day about equally often', () => {
    const month = monthOf(Date.UTC(2025, 0, 1));
    const people = 4_000;
    const perDay = Array.from({ length: 32 }, () => 0);
    for (let person = 0; person < people; person += 1) {
      const who = Buffer.alloc(8);
      who.writeUInt32BE(Math.imul(person, 2_654_435_761) >>> 0, 0);
      who.writeUInt32BE(Math.imul(person, 40_503) >>> 0, 4);
      for (let day = 1; day <= 31; day += 1) {
        if (isChosenDay(who.toString('hex'), month, day)) perDay[day] = (perDay[day] ?? 0) + 1;
      }
    }
    const expected = (people * acceptedPerMonthMax) / 31;
    const chiSquare = perDay.slice(1).reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // 30 degrees of freedom: 59.7 is passed by chance once in a thousand; the people are fixed, so never twice.
    assert.ok(chiSquare < 59.7, `chi-square ${chiSquare}`);
  });
});

describe('release rules', () => {
  it('keep the released cube within 50,000 cells a day', () => {
    const cells = families.map((family) => {
      const sizes = layouts[family.name].released.map(
        (place) => layouts[family.name].dimensions[place]?.values.length ?? 0,
      );
      return sizes.reduce((product, size) => product * size, 1) * family.measures.length;
    });
    assert.ok(cells.reduce((sum, n) => sum + n, 0) <= 50_000, cells.join());
  });

  it('release only dimensions that the ledger has, and draw days for the grain day alone', () => {
    for (const family of families) {
      const known: readonly string[] = family.dimensions;
      assert.ok(family.release.dimensions.every((name) => known.includes(name)));
      if (family.release.cap === 'chosen-days') assert.deepEqual(family.release.grains, ['day']);
    }
  });

  it('count the days of a week that spans two months in both months', () => {
    assert.equal(dayOfMonth(Date.UTC(2025, 1, 1)), 1);
    assert.notEqual(monthOf(Date.UTC(2025, 0, 31)), monthOf(Date.UTC(2025, 1, 1)));
    assert.equal(
      releaseBucketOf('week', Date.UTC(2025, 0, 31)),
      releaseBucketOf('week', Date.UTC(2025, 1, 1)),
    );
  });
});
