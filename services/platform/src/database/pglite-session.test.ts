import assert from 'node:assert/strict';
import type { PGlite } from '@electric-sql/pglite';
import { CompiledQuery } from 'kysely';
import { PgliteSession } from './pglite-session.ts';

/** What PGlite throws when it cannot write its log on a full disk (tried on a full tmpfs). */
class PanicError extends Error {
  readonly severity = 'PANIC';
  readonly code = '53100';
}

describe('a PGlite session', () => {
  it('asks nothing more of a database that panicked: the next statement would spin for ever', async () => {
    const asked: string[] = [];
    // Only a full disk makes the real one panic.
    const panicking = {
      query: async (statement: string) => {
        asked.push(statement);
        throw new PanicError(
          'could not write to file "pg_wal/xlogtemp.42": No space left on device',
        );
      },
      exec: async (statement: string) => {
        asked.push(statement);
        return [];
      },
    } as unknown as PGlite;
    const told: string[] = [];
    const session = new PgliteSession(
      panicking,
      async (work) => work(),
      (reason) => told.push(reason),
    );
    const first = CompiledQuery.raw('select 1');
    await assert.rejects(session.executeQuery(first), { reason: 'STORE_FULL' });
    const stopped = { reason: 'STORE_FULL', message: /has stopped.*No space left/ };
    await assert.rejects(session.executeQuery(CompiledQuery.raw('select 2')), stopped);
    await assert.rejects(session.begin({}), stopped);
    await assert.rejects(session.useSchema('any'), stopped);
    assert.deepEqual(asked, ['select 1']);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /No space left/);
  });
});
