/** Calendar month in UTC as year * 12 + (month - 1). */
export function monthOf(timeMs: number): number {
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** The months that still get contributors, ascending: the current one, and the last until its grace is over. */
export function openMonths(nowMs: number, graceMs: number): readonly number[] {
  const current = monthOf(nowMs);
  const first = Math.max(0, monthOf(nowMs - graceMs));
  return Array.from({ length: current - first + 1 }, (_, index) => first + index);
}
