import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createHandClock, type HandClock } from '@lethe/platform/testing/hand-clock.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import type { LedgerInsert } from '../domain/ledger-rows.ts';
import { migrations } from '../migrations/migrations.ts';
import { type AnalyticsDatabase, type AnalyticsSchema, insertManifest } from '../store.ts';
import type { CommittedChunk } from './commit-chunk.ts';
import { manifestsPerPage } from './insert-manifests.ts';
import { createInserter, type Inserter } from './inserter.ts';

describe('the inserter of committed chunks', () => {
  let db: AnalyticsDatabase;
  let clock: HandClock;
  let inserter: Inserter;
  /** What the ledger was given, refused or not. */
  let given: string[];
  let failure: Error | undefined;

  beforeEach(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<AnalyticsSchema>('inserter');
    await migrateToLatest(db, migrations);
    clock = createHandClock();
    given = [];
    failure = undefined;
    const logger = createLogger({ service: 'analytics', level: 'silent' });
    const insert = async ({ body }: LedgerInsert) => {
      given.push(body.toString());
      if (failure !== undefined) throw failure;
    };
    inserter = createInserter({ db, ledger: { insert }, clock, logger });
  });

  async function commit(name: string): Promise<CommittedChunk> {
    const manifestId = randomUUID();
    const inserts = [{ family: 'csat' as const, month: 1, rows: 1, body: Buffer.from(name) }];
    const decisions = { count: 0, bits: new Uint8Array() };
    const manifest = { manifestId, committedAtMs: clock.nowMs(), ranges: [], decisions, inserts };
    await db.transaction().execute(async (tx) => insertManifest(tx, manifest));
    clock.advance(1);
    return { manifestId, inserts };
  }

  it('inserts a chunk at once, and looks now and then for what others left', async () => {
    await inserter.catchUp({ isDue: true });
    await inserter.insert(await commit('own'));
    assert.deepEqual(given, ['own']);
    await commit('of another');
    await inserter.catchUp({ isDue: false });
    assert.deepEqual(given, ['own']);
    clock.advance(30_000);
    await inserter.catchUp({ isDue: false });
    assert.deepEqual(given, ['own', 'of another']);
  });

  it('asks a ledger that refuses with growing delays, and then inserts the oldest first', async () => {
    await inserter.catchUp({ isDue: true });
    failure = new ServiceError('STORE_UNAVAILABLE');
    await inserter.insert(await commit('first'));
    await inserter.insert(await commit('second'));
    assert.deepEqual(given, ['first']);
    for (const [failures, delayMs] of [200, 400, 800, 1600, 3200].entries()) {
      assert.equal(inserter.problem() !== undefined, failures >= 4, `${failures}`);
      clock.advance(delayMs - 10);
      await inserter.catchUp({ isDue: false });
      assert.equal(given.length, failures + 1);
      clock.advance(10);
      await inserter.catchUp({ isDue: false });
      assert.equal(given.length, failures + 2);
    }
    assert.match(inserter.problem() ?? '', /^ledger: STORE_UNAVAILABLE/);
    failure = undefined;
    given = [];
    clock.advance(15_000);
    await inserter.catchUp({ isDue: false });
    await inserter.insert(await commit('third'));
    assert.deepEqual(given, ['first', 'second', 'third']);
    assert.equal(inserter.problem(), undefined);
  });

  it('catches up a page at a time, so that chunks go on meanwhile', async () => {
    for (let index = 0; index <= manifestsPerPage; index += 1) await commit(`${index}`);
    await inserter.catchUp({ isDue: true });
    assert.equal(given.length, manifestsPerPage);
    await inserter.insert(await commit('in its turn'));
    assert.equal(given.length, manifestsPerPage);
    await inserter.catchUp({ isDue: false });
    assert.deepEqual(given.slice(-2), [`${manifestsPerPage}`, 'in its turn']);
    await inserter.insert(await commit('at once'));
    assert.equal(given.at(-1), 'at once');
  });

  it('throws what is no refusal, and is behind then', async () => {
    await inserter.catchUp({ isDue: true });
    failure = new TypeError('a defect');
    await assert.rejects(inserter.insert(await commit('first')), TypeError);
    failure = undefined;
    await inserter.insert(await commit('second'));
    assert.deepEqual(given, ['first']);
    await inserter.catchUp({ isDue: true });
    assert.deepEqual(given, ['first', 'first', 'second']);
  });
});
