import type { RunOutcome } from './run-plan.ts';

/** What many runs add up to. */
export interface Totals {
  seeds: number;
  failed: number;
  events: number;
  faults: number;
  steps: number;
  statements: number;
  /** Simulated. */
  hours: number;
}

export function noTotals(): Totals {
  return { seeds: 0, failed: 0, events: 0, faults: 0, steps: 0, statements: 0, hours: 0 };
}

export function addOutcome(totals: Totals, { broken, figures }: RunOutcome): void {
  totals.seeds += 1;
  totals.failed += broken === undefined ? 0 : 1;
  totals.events += figures.events;
  totals.faults += figures.faults;
  totals.steps += figures.steps;
  totals.statements += figures.statements;
  totals.hours += figures.simulatedMs / 3_600_000;
}

export function addTotals(into: Totals, from: Totals): void {
  into.seeds += from.seeds;
  into.failed += from.failed;
  into.events += from.events;
  into.faults += from.faults;
  into.steps += from.steps;
  into.statements += from.statements;
  into.hours += from.hours;
}

export function describeTotals(totals: Totals, tookMs: number): string {
  const rate = tookMs === 0 ? 0 : (totals.seeds / tookMs) * 60_000;
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  return [
    `${whole(totals.seeds)} seeds, ${totals.failed} failed`,
    `${whole(totals.events)} entries of the log, ${whole(totals.faults)} faults`,
    `${whole(totals.steps)} steps, ${whole(totals.statements)} SQL statements`,
    `${totals.hours.toFixed(1)} simulated hours in ${(tookMs / 1000).toFixed(0)} s: ${whole(rate)} seeds a minute`,
  ].join('; ');
}
