/** The maths of comparing two things on a machine that does not stand still. */

/** What the two sides of one pair took, in the same unit. */
export interface Pair {
  readonly measured: number;
  readonly baseline: number;
}

/** The value below which the share `q` (0 to 1) of the values lies, by linear interpolation. Throws without values. */
export function quantile(values: readonly number[], q: number): number {
  if (!(q >= 0 && q <= 1)) throw new RangeError('a quantile lies between 0 and 1');
  const sorted = values.toSorted((left, right) => left - right);
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new RangeError('no values');
  // Rounding must not lead out of the two.
  return Math.min(above, below + (above - below) * (place - Math.floor(place)));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** What pairs say together. */
export interface PairedResult {
  readonly measured: number;
  readonly baseline: number;
  /** The median of the pairs' ratios, not the ratio of the medians: what slows a pair down slows both of its sides. */
  readonly ratio: number;
  /** First and third quartile of the ratios. */
  readonly ratioQuartiles: readonly [number, number];
  readonly pairs: number;
}

export function combinePairs(pairs: readonly Pair[]): PairedResult {
  const ratios = pairs.map(({ measured, baseline }) => measured / baseline);
  return {
    measured: median(pairs.map(({ measured }) => measured)),
    baseline: median(pairs.map(({ baseline }) => baseline)),
    ratio: median(ratios),
    ratioQuartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    pairs: pairs.length,
  };
}

/** One side of a pair: runs once and answers what it took. */
export type Side = () => number | Promise<number>;

/**
 * Runs both sides in turn, one pair after the other; the side that goes first changes from pair to pair, so that a
 * machine that warms up or slows down favours neither. After `forMs` no further pair begins: a busy machine gets fewer
 * pairs, not a longer run.
 */
export async function runPairs(
  count: number,
  measured: Side,
  baseline: Side,
  forMs = Infinity,
): Promise<Pair[]> {
  const beganMs = performance.now();
  const pairs: Pair[] = [];
  while (pairs.length < count) {
    if (pairs.length % 2 === 0) {
      const first = await measured();
      pairs.push({ measured: first, baseline: await baseline() });
    } else {
      const first = await baseline();
      pairs.push({ measured: await measured(), baseline: first });
    }
    if (performance.now() - beganMs >= forMs) break;
  }
  return pairs;
}
