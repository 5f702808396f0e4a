/** What the table tells of one parked event. */
export interface ParkedPlace {
  readonly sequence: bigint;
  /** False for one that only waits behind another: nobody tried it. */
  readonly isPoison: boolean;
}

/** More than 1 % of the last 10,000 events of a partition, or 100 in a row: then it is no single bad event. */
export const breakerLimits = { windowEvents: 10_000n, poisonMax: 100, inARowMax: 100 } as const;

export type BreakerLimits = {
  readonly windowEvents: bigint;
  /** So many may lie in the window; the next one trips. */
  readonly poisonMax: number;
  /** The event that makes so many in a row trips. */
  readonly inARowMax: number;
};

/**
 * Which event behind `after` is one poison event too many; undefined when none is. `places`: what is parked of the
 * partition, ascending, from `windowEvents` before `after` on.
 *
 * It looks at nothing but the table, so a restart or another owner counts on where the last one was; what was replayed
 * or erased is not there any more and does not count. A window is of sequences: events of the partition, applied or
 * not. A row is of sequences that follow each other, all of them parked: one that was applied ends it, one that only
 * waits neither counts nor ends it.
 */
export function findTrip(
  places: readonly ParkedPlace[],
  after: bigint,
  limits: BreakerLimits = breakerLimits,
): bigint | undefined {
  const window: bigint[] = [];
  let inARow = 0;
  let previous: bigint | undefined;
  for (const { sequence, isPoison } of places) {
    if (previous !== undefined && sequence !== previous + 1n) inARow = 0;
    previous = sequence;
    if (!isPoison) continue;
    inARow += 1;
    window.push(sequence);
    while ((window[0] ?? sequence) <= sequence - limits.windowEvents) window.shift();
    const isTooMuch = window.length > limits.poisonMax || inARow >= limits.inARowMax;
    if (isTooMuch && sequence > after) return sequence;
  }
  return undefined;
}
