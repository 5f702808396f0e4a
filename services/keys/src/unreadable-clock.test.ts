import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createHandClock } from '@lethe/platform/testing/hand-clock.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { createHolders } from './holders.ts';
import { migrations } from './migrations/migrations.ts';
import type { KeysSchema } from './store/schema.ts';
import { createUnreadableClock } from './unreadable-clock.ts';

const erasureId = '0198c1de-5f00-7abc-8def-00000000e009' as ErasureId;

describe('the unreadable clock', function () {
  this.timeout(60_000);
  let db: Kysely<KeysSchema>;

  before(async () => {
    db = await openTestDatabase<KeysSchema>('keys_unreadable_clock');
    await migrateToLatest(db, migrations);
    await sql`insert into tenants (tenant_id, newest_tenant_key, may_return, token_key)
      values ('acme', 1, true, ''::bytea)`.execute(db);
    await sql`insert into erasures (tenant_number, erasure_id, fenced_at_ms, keys_destroyed, answer)
      select tenant_number, ${erasureId}, 0, 0, ''::bytea from tenants`.execute(db);
  });

  it('revokes once, also when somebody asks while it looks', async () => {
    const clock = createHandClock();
    const holders = createHolders({ clock, leaseTtlMs: 30_000, formerLeasesMs: 0 });
    const logger = createLogger({ service: 'keys', level: 'silent' });
    let revocations = 0;
    const counting: typeof holders = {
      ...holders,
      revoke: (erasure) => {
        revocations += 1;
        holders.revoke(erasure);
      },
    };
    let lists = 0;
    const watched = db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        if (result.rows.length > 0) lists += 1;
        return result;
      },
    });
    const unreadableClock = createUnreadableClock({
      db: watched,
      holders: counting,
      clock,
      logger,
    });
    await unreadableClock.look();
    assert.equal(revocations, 1);
    const first = unreadableClock.look();
    await Promise.resolve();
    const second = unreadableClock.look();
    await Promise.all([first, second]);
    // A look beside the first would have this erasure in its list after the first has settled it, and revoke it anew.
    assert.equal(lists, 2);
    assert.equal(revocations, 1);
    assert.equal(holders.unreadable(erasureId), undefined, 'nothing waits for it any more');
  });
});
