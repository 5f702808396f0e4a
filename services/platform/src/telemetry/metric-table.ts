import type { AttributeName } from './attributes.ts';

interface Described {
  /** UCUM: `s`, `By`, `1`, or what is counted in braces: `{event}`. */
  readonly unit: string;
  /** What it says, in a sentence. */
  readonly description: string;
  readonly attributes: readonly AttributeName[];
}

/** One metric. */
export type MetricDefinition =
  /** Goes up. */
  | (Described & { readonly kind: 'counter' })
  /** Values with the upper bounds of their buckets. */
  | (Described & { readonly kind: 'histogram'; readonly boundaries: readonly number[] })
  /** Looked at when metrics are exported. */
  | (Described & { readonly kind: 'gauge' });

/** The metrics of one room, by name. `lethe.` is ours; other names are of OpenTelemetry's conventions. */
export type MetricTable = Readonly<Record<string, MetricDefinition>>;

/** Seconds, for calls: 1 ms to 10 s. */
export const callSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** Seconds, for what waits for others: 50 ms to a day. */
export const waitSeconds = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400,
] as const;

/** The name under which Prometheus has a metric that came by OTLP, without the suffixes of a histogram's series. */
export function prometheusName(name: string, { kind, unit }: MetricDefinition): string {
  const base = name.replaceAll('.', '_');
  const suffix = unitSuffixes.get(unit);
  if (suffix === undefined && !unit.startsWith('{')) throw new RangeError(`no suffix for ${unit}`);
  const withUnit = suffix === undefined ? base : `${base}_${suffix}`;
  if (kind === 'counter') return `${withUnit}_total`;
  return kind === 'gauge' && unit === '1' ? `${base}_ratio` : withUnit;
}

const unitSuffixes: ReadonlyMap<string, string> = new Map([
  ['s', 'seconds'],
  ['By', 'bytes'],
  ['1', 'ratio'],
]);
