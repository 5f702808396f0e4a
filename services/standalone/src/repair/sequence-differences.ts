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
}

/** Pure. Undefined when log and tables fit. */
export function differencesOf(
  stored: StoredSequences,
  { counter: known, erasedRuns, consumedTo }: PartitionTables,
): Differences | undefined {
  const { topic, partition, lastSequence, nextOffset } = stored;
  const counter = known ?? { partition, lastSequence: 0n, lastPublished: 0n };
  const present = new Set(stored.present);
  const erasedOnLog = new Set(stored.erased);
  const listed = new Set<bigint>();
  for (const { first, last } of erasedRuns)
    for (let at = first; at <= last; at += 1n) listed.add(at);
  const lost: bigint[] = [];
  const end = lastSequence > counter.lastPublished ? lastSequence : counter.lastPublished;
  for (let at = 1n; at <= end; at += 1n) {
    if (!present.has(at) && !erasedOnLog.has(at) && !listed.has(at)) lost.push(at);
  }
  const differences = {
    topic,
    partition,
    lastOnLog: lastSequence,
    counter,
    isAhead: lastSequence > counter.lastSequence,
    lost,
    unlisted: stored.erased.filter((at) => !listed.has(at)),
    risen: stored.present.filter((at) => listed.has(at)),
    overrun: consumedTo > nextOffset ? consumedTo : undefined,
  };
  const { isAhead, unlisted, risen, overrun } = differences;
  const isDifferent = isAhead || lost.length + unlisted.length + risen.length > 0;
  return isDifferent || overrun !== undefined ? differences : undefined;
}
