import type { Session } from '../connection/session.ts';
import type { HelpDeskSettings } from '../generator/help-desk.ts';
import type { Surroundings } from '../surroundings.ts';
import type { TourState } from './tour-state.ts';

/** What every step of the tour works with. */
export interface Tour {
  readonly session: Session;
  readonly surroundings: Surroundings;
  readonly dataFolder: string;
  readonly settings: HelpDeskSettings;
}

/** A heading in the output; `remark` is said more quietly. */
export function printHeading(
  { surroundings: { terminal } }: Tour,
  title: string,
  remark: string,
): void {
  const style = terminal.outStyle;
  const quietly = remark === '' ? '' : `  ${style.dim(remark)}`;
  terminal.out(`\n${style.bold(style.cyan(title))}${quietly}\n`);
}

/** How long something took, in words. */
export type Timing = readonly [name: string, value: string];

/** What the later stages build on. */
export interface Loaded {
  readonly state: TourState;
  readonly totalsBefore: Readonly<Record<string, string>>;
  readonly timings: readonly Timing[];
}
