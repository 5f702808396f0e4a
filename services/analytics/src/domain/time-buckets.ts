/** Buckets of time, all UTC. A bucket is a whole number, counted from 1970, so that it fits a cell's name. */

/** What a query may ask for. */
export type QueryGrain = 'hour' | 'day' | 'week' | 'month' | 'total';

/** What a release may publish, and so what contributions are capped by. */
export type ReleaseGrain = 'day' | 'week';

export const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
// 1970-01-01 was a Thursday; weeks begin on Monday (ISO 8601).
const daysFromMondayTo1970 = 3;

/** Hours since 1970. */
export function hourOf(timeMs: number): number {
  return Math.floor(timeMs / hourMs);
}

/** Days since 1970. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs);
}

/** Weeks since the one that holds 1970-01-01; they begin on Monday. */
function weekOf(timeMs: number): number {
  return Math.floor((dayOf(timeMs) + daysFromMondayTo1970) / 7);
}

/** year * 12 + (month - 1): the number by which contributor keys are leased. */
export function monthOf(timeMs: number): number {
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** Days of the month with this number. */
export function daysInMonth(month: number): number {
  return new Date(Date.UTC(Math.floor(month / 12), (month % 12) + 1, 0)).getUTCDate();
}

/** 1 to 31. */
export function dayOfMonth(timeMs: number): number {
  return new Date(timeMs).getUTCDate();
}

export function releaseBucketOf(grain: ReleaseGrain, timeMs: number): number {
  return grain === 'day' ? dayOf(timeMs) : weekOf(timeMs);
}
