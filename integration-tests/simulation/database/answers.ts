import { inspect } from 'node:util';
import type { StatementKind } from './statements.ts';
import type { Answer } from './wire.ts';

/** A name for a statement with its parameters. */
export function questionOf(text: string, parameters: readonly unknown[]): string {
  if (parameters.length === 0) return text;
  return `${text} ${inspect(parameters, { depth: 4, maxArrayLength: 1_000, breakLength: Infinity, maxStringLength: 10_000 })}`;
}

/** A statement that names no order may answer in any: in one that does not depend on where rows lie on pages. */
export function ordered(answer: Answer, kind: StatementKind): Answer {
  if (kind.isOrdered || answer.rows.length < 2) return answer;
  const lines = answer.rows.map((row) => ({ row, line: inspect(row, { breakLength: Infinity }) }));
  lines.sort((left, right) => (left.line < right.line ? -1 : left.line > right.line ? 1 : 0));
  return { ...answer, rows: lines.map(({ row }) => row) };
}

export function isSame(left: Answer, right: Answer): boolean {
  if (left.rows.length !== right.rows.length) return false;
  if (left.rows.length === 0) return true;
  const options = { depth: 4, breakLength: Infinity, maxArrayLength: null, maxStringLength: null };
  return inspect(left.rows, options) === inspect(right.rows, options);
}
