import Table from 'cli-table3';
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand on the right. */
  readonly align?: 'left' | 'right';
}

const noBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Aligned columns without borders, two spaces in from the edge; ends with a line feed. */
export function tableText(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style,
): string {
  const table = new Table({
    chars: noBorders,
    style: { 'padding-left': 2, 'padding-right': 0, head: [], border: [] },
    colAligns: columns.map(({ align }) => align ?? 'left'),
    head: columns.map(({ title }) => style.dim(title)),
  });
  for (const row of rows) table.push(row.map((cell) => cell));
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

/** Names and values, one pair a line, the values aligned. */
export function pairsText(
  pairs: readonly (readonly [name: string, value: string])[],
  style: Style,
): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `  ${style.dim(name.padEnd(width))}  ${value}\n`).join('');
}
