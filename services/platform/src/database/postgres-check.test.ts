import assert from 'node:assert/strict';
import { type PostgresFound, problemsOf } from './postgres-check.ts';

const right: PostgresFound = {
  version: 150_000,
  synchronous_commit: 'on',
  fsync: 'on',
  full_page_writes: 'on',
  encoding: 'UTF8',
  isolation: 'read committed',
  schema: 'tickets',
  lockSchema: 'tickets',
};

describe('what a PostgreSQL server must hold', () => {
  it('is there where nothing is said', () => {
    assert.deepEqual(problemsOf(right, 'tickets'), []);
    assert.deepEqual(problemsOf({ ...right, synchronous_commit: 'local' }, 'tickets'), []);
  });

  const rules: readonly (readonly [Partial<PostgresFound>, RegExp])[] = [
    [{ version: 140_022 }, /older than 15/],
    [{ synchronous_commit: 'off' }, /^synchronous_commit is off/],
    [{ fsync: 'off' }, /^fsync is off/],
    [{ full_page_writes: 'off' }, /^full_page_writes is off/],
    [{ encoding: 'SQL_ASCII' }, /not in UTF8/],
    [{ isolation: 'repeatable read' }, /isolation is not read committed/],
    [{ schema: null, lockSchema: null }, /^the schema in search_path does not exist/],
    [
      { schema: 'public', lockSchema: 'public' },
      /schema public and not in tickets, as LETHE_POSTGRES_SCHEMA/,
    ],
    [{ schema: 'public' }, /^tables .* LETHE_POSTGRES_URL drops the options/],
    [
      { lockSchema: 'public' },
      /^locks .* schema public and not in tickets.* LETHE_POSTGRES_LOCK_URL/,
    ],
    [{ lockSchema: null }, /^locks .* no schema .* LETHE_POSTGRES_LOCK_URL/],
  ];
  for (const [broken, words] of rules) {
    it(`is missed, and said alone, with ${JSON.stringify(broken)}`, () => {
      const problems = problemsOf({ ...right, ...broken }, 'tickets');
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', words);
    });
  }

  it('is said all at once', () => {
    const worst = { ...right, version: 90_600, fsync: 'off', encoding: 'LATIN1', schema: 'public' };
    assert.equal(problemsOf(worst, 'tickets').length, 4);
  });
});
