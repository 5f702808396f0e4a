/** Series over time, in promtool's notation: start, plus a step, times a count; a sample a minute. */
export type Samples = readonly (readonly [series: string, values: string])[];

/** When an alert fires and when it does not. */
export interface AlertCase {
  readonly alert: string;
  readonly fires: Samples;
  /** When it is looked at. */
  readonly at: string;
  /** Of the alert, beside its severity. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary: string;
  /** What looks alike and is well, at the same time. */
  readonly quiet: Samples;
}

/** A series with its labels. */
export function of(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return `${name}{${pairs.join(',')}}`;
}
