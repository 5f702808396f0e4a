import assert from 'node:assert/strict';
import fc from 'fast-check';
import { eventsArbitrary } from '../testing/arbitrary-events.ts';
import { claimsOf, type ContributionCounter, decide } from './accept.ts';
import type { CountedEvent } from './counted-event.ts';
import { columnsOf, fold, type LedgerCell } from './fold.ts';
import { hourOf } from './time-buckets.ts';

/** Totals by cell and column over several chunks, as a query with dedup would add them. */
function totalsOf(chunks: readonly (readonly LedgerCell[])[]): Map<string, bigint> {
  const totals = new Map<string, bigint>();
  for (const cell of chunks.flat()) {
    columnsOf(cell.layout.family).forEach((column, place) => {
      const name = [
        cell.layout.family.name,
        cell.tenantId,
        cell.hour,
        ...cell.codes,
        column,
      ].join();
      const value = (totals.get(name) ?? 0n) + (cell.values[place] ?? 0n);
      if (value !== 0n) totals.set(name, value);
    });
  }
  return totals;
}

function foldInChunks(chunks: readonly (readonly CountedEvent[])[]): (readonly LedgerCell[])[] {
  const counters = new Map<string, ContributionCounter>();
  return chunks.map((events) => {
    const { decisions, changed } = decide(claimsOf(events), counters);
    for (const [counterKey, counter] of changed) counters.set(counterKey, counter);
    return fold(events, decisions);
  });
}

describe('fold', () => {
  it('gives the same totals for any chunking of the same log order', () => {
    fc.assert(
      fc.property(eventsArbitrary, fc.nat({ max: 20 }), (events, sizeLess1) => {
        const chunks: CountedEvent[][] = [];
        for (let at = 0; at < events.length; at += sizeLess1 + 1) {
          chunks.push(events.slice(at, at + sizeLess1 + 1));
        }
        assert.deepEqual(totalsOf(foldInChunks(chunks)), totalsOf(foldInChunks([events])));
      }),
    );
  });

  it('counts every event in the exact cells, and those of closed months as late', () => {
    fc.assert(
      fc.property(eventsArbitrary, (events) => {
        const naive = new Map<string, bigint>();
        const count = (name: string, amount: bigint) =>
          naive.set(name, (naive.get(name) ?? 0n) + amount);
        for (const { tenantId, occurredAtMs, contributor, changes } of events) {
          for (const { layout, codes, adds } of changes) {
            for (const { measure, amount } of adds) {
              const name = layout.family.measures[measure]?.name ?? '';
              const cell = [layout.family.name, tenantId, hourOf(occurredAtMs), ...codes].join();
              count(`${cell},exact_${name}`, amount);
              if (contributor === undefined) count(`${cell},late_${name}`, amount);
            }
          }
        }
        const totals = totalsOf(foldInChunks([events]));
        const unaccepted = [...totals].filter(([name]) => !name.includes(',accepted_'));
        assert.deepEqual(new Map(unaccepted), naive);
      }),
    );
  });

  it('is a function of events and stored decisions alone', () => {
    fc.assert(
      fc.property(eventsArbitrary, (events) => {
        const { decisions } = decide(claimsOf(events), new Map());
        assert.deepEqual(fold(events, decisions), fold(structuredClone(events), decisions));
      }),
    );
  });

  it('refuses decisions that were made for other events', () => {
    assert.throws(() => fold([], { bits: new Uint8Array(1), count: 1 }), /1 were stored/);
  });
});
