import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { reasons } from './reasons.ts';

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');

/** The table of docs/errors.md, row by row. */
const documented = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

describe('the catalogue of reasons', () => {
  it('is the table of docs/errors.md, in the same order and words', () => {
    const rows = documented.map(([, reason, code, meaning, next]) => [reason, code, meaning, next]);
    const catalogue = Object.entries(reasons).map(([reason, entry]) => [
      `\`${reason}\``,
      entry.code,
      entry.meaning,
      entry.next,
    ]);
    assert.deepEqual(rows, catalogue);
  });
});
