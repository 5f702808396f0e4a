import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { SharedConnectionAdapter } from '../database/pglite.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabases } from '../testing/test-database.ts';
import { becomeSoleInstance, type SoleInstance } from './sole-instance.ts';

describe('the one process of a service', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  let begun: SoleInstance[];
  before(async () => {
    db = (await openTestDatabases()).database('test_sole_instance');
  });
  beforeEach(() => {
    begun = [];
  });
  afterEach(async () => {
    for (const each of begun) await each.release();
  });
  const become = async (
    onLost: (error: unknown) => void,
    signal = new AbortController().signal,
  ) => {
    const told = { onWait: () => undefined, onLost };
    const sole = await becomeSoleInstance({ db, clock: systemClock, signal, ...told });
    begun.push(sole);
    return sole;
  };

  it('lets nobody else in until it lets go, and hears of no loss then', async () => {
    const lost: unknown[] = [];
    const first = await become((error) => lost.push(error));
    await assert.rejects(
      become(() => assert.fail(), AbortSignal.timeout(100)),
      {
        reason: 'SHUTTING_DOWN',
      },
    );
    await first.release();
    await become((error) => lost.push(error));
    assert.deepEqual(lost, []);
  });

  it('hears that it lost the lock on a connection that lives on', async function () {
    this.timeout(20_000);
    const { promise: lost, resolve: onLost } = Promise.withResolvers<unknown>();
    await become(onLost);
    const { adapter } = db.getExecutor();
    assert.ok(adapter instanceof SharedConnectionAdapter);
    adapter.heldLocks.clear();
    assert.equal(Reflect.get(Object(await lost), 'reason'), 'CONFIG_INVALID');
  });
});
