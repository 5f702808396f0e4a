import type { SeededRandom, Weighted } from './random.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

const opensAtH = 8;
const closesAtH = 18;

/** How many tickets come in at each local hour, relative to the others: two humps and a quiet night. */
const hourWeights: readonly Weighted<number>[] = [
  0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 1.6, 3.4, 6.2, 8.6, 9.4, 8.4, 6.4, 7, 8.2, 8, 7, 5.6, 4.4, 3.8, 3.4,
  2.8, 1.9, 1.1,
].map((weight, hour) => [hour, weight]);

/** By local day of the week, Sunday first. */
const weekdayWeights = [0.28, 1.3, 1.15, 1.1, 1.05, 0.95, 0.4] as const;

/** The time in which a help desk is simulated, milliseconds since 1970 UTC; the end is excluded. */
export interface Period {
  readonly startMs: number;
  readonly endMs: number;
}

/** A moment at which a customer would write, weighted by local hour, weekday and a slight growth. */
export function sampleArrivalMs(random: SeededRandom, period: Period, utcOffsetH: number): number {
  const days = Math.max(1, Math.floor((period.endMs - period.startMs) / dayMs));
  const choices = Array.from({ length: days }, (_, day): Weighted<number> => {
    const growth = 0.85 + (0.3 * day) / days;
    return [day, growth * weekdayWeight(period.startMs + day * dayMs)];
  });
  const localMs =
    period.startMs +
    random.pickWeighted(choices) * dayMs +
    random.pickWeighted(hourWeights) * hourMs +
    random.integer(0, hourMs - 1);
  const atMs = localMs - utcOffsetH * hourMs;
  // Local hours near the edges may fall outside; they wrap to the other edge so that none is lost.
  const lengthMs = period.endMs - period.startMs;
  return period.startMs + ((((atMs - period.startMs) % lengthMs) + lengthMs) % lengthMs);
}

/** The moment at which so much business time (Monday to Friday, 8 to 18 local) has passed. */
export function addBusinessTime(fromMs: number, durationMs: number, utcOffsetH: number): number {
  let localMs = fromMs + utcOffsetH * hourMs;
  let restMs = durationMs;
  for (;;) {
    const opensMs = startOfDay(localMs) + opensAtH * hourMs;
    const closesMs = startOfDay(localMs) + closesAtH * hourMs;
    localMs = Math.max(localMs, opensMs);
    if (isWeekend(localMs) || localMs >= closesMs) {
      localMs = startOfDay(localMs) + dayMs;
    } else if (localMs + restMs <= closesMs) {
      return localMs + restMs - utcOffsetH * hourMs;
    } else {
      restMs -= closesMs - localMs;
      localMs = startOfDay(localMs) + dayMs;
    }
  }
}

/** How much business time lies between two moments, milliseconds. */
export function businessTimeBetween(fromMs: number, toMs: number, utcOffsetH: number): number {
  const fromLocalMs = fromMs + utcOffsetH * hourMs;
  const toLocalMs = toMs + utcOffsetH * hourMs;
  let sumMs = 0;
  for (let dayStart = startOfDay(fromLocalMs); dayStart < toLocalMs; dayStart += dayMs) {
    if (isWeekend(dayStart)) continue;
    const opensMs = Math.max(fromLocalMs, dayStart + opensAtH * hourMs);
    const closesMs = Math.min(toLocalMs, dayStart + closesAtH * hourMs);
    sumMs += Math.max(0, closesMs - opensMs);
  }
  return sumMs;
}

function startOfDay(localMs: number): number {
  return Math.floor(localMs / dayMs) * dayMs;
}

function isWeekend(localMs: number): boolean {
  const weekday = new Date(localMs).getUTCDay();
  return weekday === 0 || weekday === 6;
}

function weekdayWeight(localMs: number): number {
  return weekdayWeights[new Date(localMs).getUTCDay()] ?? 1;
}
