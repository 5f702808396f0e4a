import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { openTestDatabase } from '../testing/test-database.ts';
import { withLockSession } from './lock-session.ts';

describe('a lock session', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  before(async () => {
    db = await openTestDatabase('lock-session');
  });

  it('excludes other sessions of the schema until it ends, however it ends', async () => {
    const inside = withLockSession(db, async (one) => {
      assert.equal(await one.tryLock('partition 0'), true);
      assert.equal(await one.tryLock('partition 0'), true, 'what one has it may ask for again');
      await withLockSession(db, async (other) => {
        assert.equal(await other.tryLock('partition 0'), false);
        assert.equal(await other.tryLock('partition 1'), true);
      });
      assert.equal(await one.tryLock('partition 1'), true, 'freed by the session that ended');
      throw new Error('the work fails');
    });
    await assert.rejects(inside, /the work fails/);
    await withLockSession(db, async (next) => {
      assert.equal(await next.tryLock('partition 0'), true);
    });
  });

  it('does not exclude sessions of another schema', async () => {
    const elsewhere: Kysely<unknown> = await openTestDatabase('lock-session');
    await withLockSession(db, async (one) => {
      await one.tryLock('partition 0');
      await withLockSession(elsewhere, async (other) => {
        assert.equal(await other.tryLock('partition 0'), true);
      });
    });
  });
});
