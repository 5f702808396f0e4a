import type { StoredSequences } from '@lethe/platform/event-log/sqlite-repair.ts';
import type { CounterState } from '@lethe/platform/outbox/repair.ts';

/** Where one partition of the log and its owner's table do not fit each other; sequences ascend. */
export interface Differences {
  readonly topic: string;
  readonly partition: number;
  readonly lastOnLog: bigint;
  readonly counter: CounterState;
  /** The log goes on above what the table has given. */
  readonly isAhead: boolean;
  /** Published, and neither on the log nor erased: the log lost them. */
  readonly lost: readonly bigint[];
  /** Erased on the log, and the table does not list them: the table lost that. */
  readonly unlisted: readonly bigint[];
  /** Listed as erased, and on the log all the same: the log is older than their erasure. */
  readonly risen: readonly bigint[];
  /** A consumer goes on at this offset, beyond the log's end: what is appended next would be passed over. */
  readonly overrun: bigint | undefined;
}

export interface PartitionTables {
  readonly counter: CounterState | undefined;
  readonly erasedRuns: readonly { readonly first: bigint; readonly last: bigint }[];
  /** The highest offset from which any consumer goes on. */
  readonly consumedTo: bigint;
  /** See `Differences`; those are left out that a waiting tombstone record will erase. */
  readonly risen: readonly bigint[];
}

type Runs = PartitionTables['erasedRuns'];

/** The runs ascend and are disjoint: halved until one is left. */
export function isWithin(runs: Runs, sequence: bigint): boolean {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.last ?? 0n) < sequence) low = middle + 1;
    else high = middle;
  }
  const run = runs[low];
  return run !== undefined && run.first <= sequence;
}

/** Pure. Undefined when log and tables fit. */
export function differencesOf(
  stored: StoredSequences,
  { counter: known, erasedRuns, consumedTo, risen }: PartitionTables,
): Differences | undefined {
  const { topic, partition, lastSequence, nextOffset } = stored;
  const counter = known ?? { partition, lastSequence: 0n, lastPublished: 0n };
  const present = new Set(stored.present);
  const erasedOnLog = new Set(stored.erased);
  const lost: bigint[] = [];
  const end = lastSequence > counter.lastPublished ? lastSequence : counter.lastPublished;
  for (let at = 1n; at <= end; at += 1n) {
    if (!present.has(at) && !erasedOnLog.has(at) && !isWithin(erasedRuns, at)) lost.push(at);
  }
  const differences = {
    topic,
    partition,
    lastOnLog: lastSequence,
    counter,
    isAhead: lastSequence > counter.lastSequence,
    lost,
    unlisted: stored.erased.filter((at) => !isWithin(erasedRuns, at)),
    risen,
    overrun: consumedTo > nextOffset ? consumedTo : undefined,
  };
  const { isAhead, unlisted, overrun } = differences;
  const isDifferent = isAhead || lost.length + unlisted.length + risen.length > 0;
  return isDifferent || overrun !== undefined ? differences : undefined;
}
