import type { CountedEvent } from './counted-event.ts';
import type { CellChange } from './contributions.ts';
import { acceptedPerMonthMax } from './families.ts';
import {
  dayOf,
  dayOfMonth,
  daysInMonth,
  monthOf,
  releaseBucketOf,
  type ReleaseGrain,
} from './time-buckets.ts';

/*
 * Accept decisions: which events a release may count, so that what one person does in a month moves no released figure by
 * more than a bound. Decided once per (event, family, grain), in log order, and stored with the chunk: a replay reads
 * them and never decides again.
 */

/** Names the contributions of one person in one month to one family at one grain. */
export interface CounterId {
  readonly tenantId: string;
  readonly family: string;
  readonly grain: ReleaseGrain;
  readonly month: number;
  /** 16 hex digits: the keyed hash of the person for this month. */
  readonly contributor: string;
}

export interface ContributionCounter {
  readonly accepted: number;
  /** Nothing more of this person is accepted this month: they were erased. */
  readonly isFull: boolean;
  /** The released cells (or days) that hold an accepted event of this person. */
  readonly cells: readonly string[];
}

/** One decision to be made. Without a counter the answer is no. */
interface Claim {
  readonly counterKey: string | undefined;
  readonly cell: string;
}

/** All decisions of a chunk, in log order: event by event, change by change, grain by grain. */
export interface Claims {
  readonly inOrder: readonly Claim[];
  /** The counters that the decisions need, by counter key. */
  readonly counters: ReadonlyMap<string, CounterId>;
}

/** Which claims were accepted, and the counters that this changed. */
export interface Decided {
  readonly decisions: Decisions;
  readonly changed: ReadonlyMap<string, ContributionCounter>;
}

/** A bit per claim, in the order of the claims, the lowest bit of a byte first. */
export interface Decisions {
  readonly bits: Uint8Array;
  readonly count: number;
}

export function isAccepted(decisions: Decisions, index: number): boolean {
  return ((decisions.bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

const emptyCounter: ContributionCounter = { accepted: 0, isFull: false, cells: [] };
const noClaim: Claim = { counterKey: undefined, cell: '' };

/** What has to be decided for these events, in their order. */
export function claimsOf(events: readonly CountedEvent[]): Claims {
  const inOrder: Claim[] = [];
  const counters = new Map<string, CounterId>();
  for (const event of events) {
    for (const change of event.changes) {
      for (const grain of change.layout.family.release.grains) {
        inOrder.push(claimOf(event, change, grain, counters));
      }
    }
  }
  return { inOrder, counters };
}

function claimOf(
  event: CountedEvent,
  change: CellChange,
  grain: ReleaseGrain,
  counters: Map<string, CounterId>,
): Claim {
  const { contributor, tenantId, occurredAtMs } = event;
  const { family } = change.layout;
  // A closed month gives no contributor: the event counts in the exact cells and as late, never in a release.
  if (contributor === undefined) return noClaim;
  const month = monthOf(occurredAtMs);
  const isRecurring = family.release.cap === 'chosen-days';
  if (isRecurring && !isChosenDay(contributor, month, dayOfMonth(occurredAtMs))) return noClaim;
  const id: CounterId = { tenantId, family: family.name, grain, month, contributor };
  const counterKey = counterKeyOf(id);
  counters.set(counterKey, id);
  const cell = isRecurring ? `${dayOf(occurredAtMs)}` : releasedCell(change, grain, occurredAtMs);
  return { counterKey, cell };
}

/** The text form of a counter's id; its order is the order in which counters are locked. */
export function counterKeyOf(id: CounterId): string {
  return `${id.tenantId}/${id.family}/${id.grain}/${id.month}/${id.contributor}`;
}

/** A released number: bucket, released dimensions and the measure that is counted. */
function releasedCell(change: CellChange, grain: ReleaseGrain, occurredAtMs: number): string {
  let cell = `${releaseBucketOf(grain, occurredAtMs)}:${change.adds[0]?.measure ?? 0}`;
  for (const place of change.layout.released) cell += `.${change.codes[place] ?? 0}`;
  return cell;
}

/** Decides in order. A claim without a counter in `counters` meets an empty one. */
export function decide(
  claims: Claims,
  counters: ReadonlyMap<string, ContributionCounter>,
): Decided {
  const bits = new Uint8Array((claims.inOrder.length + 7) >> 3);
  const changed = new Map<string, ContributionCounter>();
  claims.inOrder.forEach(({ counterKey, cell }, index) => {
    if (counterKey === undefined) return;
    const counter = changed.get(counterKey) ?? counters.get(counterKey) ?? emptyCounter;
    const isCapped = counter.isFull || counter.accepted >= acceptedPerMonthMax;
    if (isCapped || counter.cells.includes(cell)) return;
    changed.set(counterKey, {
      accepted: counter.accepted + 1,
      isFull: false,
      cells: [...counter.cells, cell],
    });
    const byte = index >> 3;
    bits[byte] = (bits[byte] ?? 0) | (1 << (index & 7));
  });
  return { decisions: { bits, count: claims.inOrder.length }, changed };
}

/**
 * Whether this day of the month is one of the M that count for this contributor. The days are drawn without
 * replacement by a generator seeded with the keyed hash (Floyd's sampling; splitmix32), so that they are the same in
 * every replay and unknown to whoever lacks the month's contributor key.
 */
export function isChosenDay(contributor: string, month: number, day: number): boolean {
  const days = daysInMonth(month);
  const next = splitmix32(Number.parseInt(contributor.slice(0, 8), 16) ^ rotated(contributor));
  const chosen = new Set<number>();
  for (let last = days - acceptedPerMonthMax + 1; last <= days; last += 1) {
    const candidate = 1 + (next() % last);
    chosen.add(chosen.has(candidate) ? last : candidate);
  }
  return chosen.has(day);
}

function rotated(contributor: string): number {
  const low = Number.parseInt(contributor.slice(8, 16), 16);
  return (low << 16) | (low >>> 16);
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e37_79b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}
