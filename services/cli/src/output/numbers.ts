/** 12345678n to "12,345,678". */
export function formatCount(count: number | bigint): string {
  return count.toString().replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** Milliseconds as people say them: "420 ms", "3.2 s", "2 min 05 s", "1 h 03 min", "3 d 4 h". */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const totalS = Math.round(durationMs / 1000);
  if (totalS < 3600) return `${Math.floor(totalS / 60)} min ${twoDigits(totalS % 60)} s`;
  const totalMin = Math.round(totalS / 60);
  if (totalMin < 24 * 60) return `${Math.floor(totalMin / 60)} h ${twoDigits(totalMin % 60)} min`;
  const totalH = Math.round(totalMin / 60);
  return `${Math.floor(totalH / 24)} d ${totalH % 24} h`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** "2024-08-03 09:14:00 UTC"; a dash for what has not happened. */
export function formatMoment(moment: Date | undefined): string {
  return moment === undefined ? '-' : `${moment.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Events, and how many of them in a second. */
export function formatRate(count: number, durationMs: number): string {
  const perSecond = durationMs > 0 ? Math.round((count * 1000) / durationMs) : 0;
  return `${formatCount(perSecond)}/s`;
}

/** A bar of eighths of a character, as long as the value's share of the largest. */
export function bar(value: number, largest: number, width: number): string {
  if (largest <= 0 || value <= 0) return '';
  const eighths = Math.max(1, Math.round((value / largest) * width * 8));
  const rest = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? '';
  return '█'.repeat(Math.floor(eighths / 8)) + rest;
}

/** "1 ticket", "1,204 tickets". */
export function formatPlural(count: number | bigint, word: string): string {
  return `${formatCount(count)} ${word}${BigInt(count) === 1n ? '' : 's'}`;
}
