import type { PairedResult } from './pairs.ts';
import type { RealPlaces } from './real-places.ts';

/** A bound to hold; docs/bench.md lists them all. */
export interface Target {
  readonly sense: 'at most' | 'at least';
  readonly limit: number;
  /** Whether the bound is on what was measured or on its ratio to the baseline. */
  readonly of: 'measured' | 'ratio';
}

/** One line of the benchmark. */
export interface Figure {
  /** As `--only` names it. */
  readonly name: string;
  readonly what: string;
  /** Of what was measured and of the baseline. */
  readonly unit: string;
  readonly measured: number;
  readonly baselineWhat: string;
  readonly baseline: number;
  readonly ratio: number;
  readonly ratioQuartiles: readonly [number, number];
  readonly pairs: number;
  /** Absent, as JSON keeps it, or undefined: none. */
  readonly target?: Target | undefined;
  /** What else to know in order to read the line rightly. */
  readonly notes: readonly string[];
}

export type Verdict = 'holds' | 'falls short' | 'no target';

export function verdictOf({ target, measured, ratio }: Figure): Verdict {
  if (target === undefined) return 'no target';
  const value = target.of === 'ratio' ? ratio : measured;
  const holds = target.sense === 'at most' ? value <= target.limit : value >= target.limit;
  return holds ? 'holds' : 'falls short';
}

/** Puts the outcome of pairs and the words around it together. */
export function figureOf(
  words: Pick<Figure, 'name' | 'what' | 'unit' | 'baselineWhat'> & Partial<Figure>,
  result: PairedResult,
): Figure {
  return { target: undefined, notes: [], ...result, ...words };
}

/** Where and when a run was made. */
export interface Machine {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly node: string;
  /** One-minute load before anything was started: above the number of cores the machine was not ours alone. */
  readonly loadBefore: number;
  /** The same when everything was measured; absent in runs that did not look. */
  readonly loadAfter?: number;
  readonly startedAt: string;
  /** Versions of the real systems, by name; empty for the embedded stores. */
  readonly systems: Readonly<Record<string, string>>;
}

/** A whole run. */
export interface Report {
  readonly machine: Machine;
  /** What whoever kept the run says of it. */
  readonly remark?: string;
  readonly figures: readonly Figure[];
  /** Measurements that ended without a figure, and why. */
  readonly failures: readonly { readonly names: readonly string[]; readonly reason: string }[];
  readonly tookMs: number;
}

/** Takes a figure as soon as there is one, so that what comes after it cannot lose it. */
export type Tell = (figure: Figure) => void;

/** Makes the figures it is asked for; may make others as well. `real`: on these systems, else on the embedded stores. */
export type Measure = (
  names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
) => Promise<void>;
