import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createGate } from '@lethe/platform/lifecycle/gate.ts';
import { createProjectionWorld, type ProjectionWorld } from '../testing/projection-world.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { sealRecord } from '../testing/sealed-records.ts';
import { createProjector, type Projector } from './projector.ts';
import { committedSequences } from './sequences.ts';

describe('projector', function () {
  this.timeout(60_000);
  let world: ProjectionWorld;
  let projector: Projector;

  const start = () => {
    projector = createProjector({
      clock: systemClock,
      logger: createLogger({ service: 'analytics', level: 'silent' }),
      open: async () => await world.open(),
      turn: createGate(1),
      progressed: () => undefined,
    });
    projector.start();
  };
  const append = async (count: number) => {
    const records = Array.from({ length: count }, (_, index) =>
      sealRecord(world.keys, {
        tenantId: 'acme' as TenantId,
        ...sampleEvent(index),
        occurredAtMs: Date.UTC(2025, 4, 1),
        contributor: undefined,
      }),
    );
    await world.append('usage.v1', 1, records);
  };
  const counted = async () => {
    const ranges = await committedSequences({ db: world.db, eventLog: world.log }, 'usage.v1');
    return JSON.stringify(ranges, (_key, value: unknown) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
  };
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await systemClock.sleep(20);
  };

  beforeEach(async () => {
    world = await createProjectionWorld('projector');
  });
  afterEach(async () => {
    await projector.stop();
    await world.destroy();
  });

  it('stays stopped by a log that ended before its checkpoints, also once that has grown past them', async () => {
    await append(5);
    start();
    await until(async () => (await counted()).includes('5'));
    await projector.stop();
    await sql`update checkpoints set sequence = 7, next_offset = 7 where topic = 'usage.v1'`.execute(
      world.db,
    );
    const before = await counted();
    start();
    await until(() => projector.problem() !== undefined);
    assert.equal(projector.problem(), 'projection stopped: LOG_BEHIND_CHECKPOINT');
    // 6 and 7 would pass for duplicates, and 8 be counted as if nothing had happened.
    await append(3);
    await systemClock.sleep(2_500);
    assert.equal(projector.problem(), 'projection stopped: LOG_BEHIND_CHECKPOINT');
    assert.equal(await counted(), before);
  });
});
