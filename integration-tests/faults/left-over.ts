import { readdirSync, readFileSync } from 'node:fs';

/** Processes that live on: those with one of the ids, and those that name one of the folders in whatever way. */
export function processesLeft(
  pids: ReadonlySet<number>,
  folders: readonly string[],
): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => {
      const [state, ...texts] = ['stat', 'cmdline', 'environ'].map((file) => textOf(pid, file));
      // A zombie holds nothing: whether it is reaped is the business of process 1.
      if (state === '' || /^\d+ \(.*\) [ZX]/.test(state ?? '')) return false;
      return pids.has(pid) || folders.some((folder) => texts.some((text) => text.includes(folder)));
    });
}

function textOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has just ended, or is nobody's business.
    return '';
  }
}
