import type { SequenceRun } from '../outbox/erased-ranges.ts';
import type { CounterState } from '../outbox/repair.ts';
import type { PartitionOnLog } from './read-log.ts';

/** Where a partition of a log on a server and its owner's table do not fit each other. */
export interface PartitionDifference {
  readonly partition: number;
  readonly lastOnLog: bigint;
  readonly counter: CounterState;
  /** Records above what the table has given. */
  readonly ahead: bigint;
  /** Sequences that are neither on the log nor listed as erased, up to the log's end. */
  readonly unlisted: readonly SequenceRun[];
  /** Sequences that were published, and the log ends before them. */
  readonly behind: bigint;
}

/** Pure. Undefined when they fit. */
export function differenceOf(
  { partition, lastSequence: lastOnLog, present }: PartitionOnLog,
  known: CounterState | undefined,
  erased: readonly SequenceRun[],
): PartitionDifference | undefined {
  const counter = known ?? { partition, lastSequence: 0n, lastPublished: 0n };
  const ahead = lastOnLog > counter.lastSequence ? lastOnLog - counter.lastSequence : 0n;
  const behind = counter.lastPublished > lastOnLog ? counter.lastPublished - lastOnLog : 0n;
  const unlisted = gapsIn([...present, ...erased], lastOnLog);
  if (ahead === 0n && behind === 0n && unlisted.length === 0) return undefined;
  return { partition, lastOnLog, counter, ahead, unlisted, behind };
}

/** What of 1 to `last` no run covers. */
export function gapsIn(runs: readonly SequenceRun[], last: bigint): readonly SequenceRun[] {
  const gaps: SequenceRun[] = [];
  let next = 1n;
  for (const run of runs.toSorted((left, right) => (left.first < right.first ? -1 : 1))) {
    if (run.first > next) gaps.push({ first: next, last: min(run.first - 1n, last) });
    if (run.last >= next) next = run.last + 1n;
    if (next > last) return gaps.filter((gap) => gap.first <= gap.last);
  }
  if (next <= last) gaps.push({ first: next, last });
  return gaps;
}

/** Every sequence of the runs. */
export function sequencesIn(runs: readonly SequenceRun[]): bigint[] {
  return runs.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index)),
  );
}

function min(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
