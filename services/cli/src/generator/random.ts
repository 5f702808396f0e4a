import { createHash } from 'node:crypto';

/** A choice with its relative frequency. */
export type Weighted<Value> = readonly [value: Value, weight: number];

/**
 * A seeded source of numbers for generated data; never for keys, nonces or ids that must not be guessed.
 * Equal labels give equal sequences on every machine.
 */
export interface SeededRandom {
  /** From 0 (included) to 1 (excluded). */
  fraction(): number;
  /** A whole number between the bounds, both included. */
  integer(min: number, max: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<Value>(values: readonly Value[]): Value;
  pickWeighted<Value>(choices: readonly Weighted<Value>[]): Value;
  /** Log-normal: half of the results lie below the median; `spread` is the sigma of the logarithm. */
  logNormal(median: number, spread: number): number;
  /** A whole number from 0 to `count` - 1, small ones far more often (as a few people ask most). */
  skewedIndex(count: number): number;
  /** So many decimal digits. */
  digits(count: number): string;
}

/** sfc32 by Chris Doty-Humphrey (public domain), its state taken from SHA-256 of the label. */
export function createSeededRandom(label: string): SeededRandom {
  const next = createSfc32(createHash('sha256').update(label).digest());
  const fraction = () => next() / 0x1_0000_0000;
  const integer = (min: number, max: number) => min + Math.floor(fraction() * (max - min + 1));
  return {
    fraction,
    integer,
    chance: (probability) => fraction() < probability,
    pick: (values) => elementAt(values, integer(0, values.length - 1)),
    pickWeighted: (choices) => pickWeighted(choices, fraction()),
    logNormal: (median, spread) => median * Math.exp(spread * standardNormal(fraction)),
    skewedIndex: (count) => Math.floor(count * fraction() ** 2.5),
    digits: (count) => Array.from({ length: count }, () => integer(0, 9)).join(''),
  };
}

function createSfc32(seed: Buffer): () => number {
  let [a, b, c, counter] = [
    seed.readInt32LE(0),
    seed.readInt32LE(4),
    seed.readInt32LE(8),
    seed.readInt32LE(12),
  ];
  const next = () => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

function standardNormal(fraction: () => number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - fraction()));
  return radius * Math.cos(2 * Math.PI * fraction());
}

function pickWeighted<Value>(choices: readonly Weighted<Value>[], fraction: number): Value {
  let rest = fraction * choices.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of choices) {
    rest -= weight;
    if (rest < 0) return value;
  }
  return elementAt(choices, choices.length - 1)[0];
}

function elementAt<Value>(values: readonly Value[], index: number): Value {
  const value = values[index];
  if (value === undefined) throw new RangeError('a choice needs at least one value');
  return value;
}
