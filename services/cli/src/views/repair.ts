import type { Style } from '../output/style.ts';
import { wrapText } from '../output/wrap.ts';
import type { Finding, RepairReport } from '../server/run-repair.ts';

/** What was found, store by store: what is the matter, and what will be or was done. */
export function reportText(
  { findings, isCutShort, keptAside }: RepairReport,
  columns: number,
  style: Style,
): string {
  const kept = keptText(keptAside, columns);
  if (findings.length === 0) return `Nothing to repair.\n${kept}`;
  const blocks = findings.map((finding) => findingText(finding, columns, style));
  const rest = isCutShort ? 'What lies behind this can only be looked at once it is mended.\n' : '';
  return `${blocks.join('')}${rest}${kept}`;
}

function keptText(kept: RepairReport['keptAside'], columns: number): string {
  if (kept.length === 0) return '';
  const names = kept.map(({ name }) => `  ${name}\n`).join('');
  const note =
    'Damaged files that a repair kept. No erasure reaches the records in them: they become unreadable, but they stay. Delete these files by hand (rm -r) once nothing of them is needed, and before an erasure is called physically gone.';
  const lines = wrapText(note, columns).map((line) => `${line}\n`);
  return `\n${lines.join('')}${names}`;
}

const marks = { sound: ' ', mendable: '→', mended: '✔', lost: '✘' } as const;

function findingText(
  { store, state, what, action }: Finding,
  columns: number,
  style: Style,
): string {
  const mark = state === 'lost' ? style.red(marks[state]) : style.green(marks[state]);
  const lines = wrapText(action, columns - 6).map((line) => `      ${line}\n`);
  return `  ${mark} ${style.bold(store)}  ${what}\n${lines.join('')}`;
}
