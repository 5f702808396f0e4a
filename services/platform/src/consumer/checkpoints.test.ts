import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import type { TopicPartition } from '../event-log/port.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import {
  type Checkpoint,
  type CheckpointMove,
  compareAndSetCheckpoints,
  firstCheckpoint,
  readCheckpoints,
} from './checkpoints.ts';
import { type ConsumerSchema, createConsumerTables } from './tables.ts';

const zero: TopicPartition = { topic: 'tickets.v1', partition: 0 };
const one: TopicPartition = { topic: 'tickets.v1', partition: 1 };
const other: TopicPartition = { topic: 'privacy.v1', partition: 0 };

const at = (sequence: bigint, nextOffset: bigint): Checkpoint => ({ sequence, nextOffset });
const moved = { reason: 'CHECKPOINT_MOVED' };

describe('checkpoints', function () {
  this.timeout(60_000);
  let db: Kysely<ConsumerSchema>;
  before(async () => {
    db = await openTestDatabase('checkpoints');
    await createConsumerTables(db);
  });
  beforeEach(async () => {
    await sql`delete from checkpoints`.execute(db);
  });

  const move = async (...moves: CheckpointMove[]): Promise<void> => {
    await db.transaction().execute((tx) => compareAndSetCheckpoints(tx, moves));
  };
  const read = (...partitions: TopicPartition[]) => readCheckpoints(db, partitions);

  it('are at the beginning for partitions never consumed, in the order asked', async () => {
    await move({ ...one, from: firstCheckpoint, to: at(3n, 4n) });
    assert.deepEqual(await read(zero, one, other), [firstCheckpoint, at(3n, 4n), firstCheckpoint]);
    assert.deepEqual(await read(), []);
  });

  it('move over several partitions at once, inserted and updated, in any order given', async () => {
    await move({ ...one, from: firstCheckpoint, to: at(3n, 4n) });
    await move(
      { ...one, from: at(3n, 4n), to: at(5n, 9n) },
      { ...zero, from: firstCheckpoint, to: at(1n, 1n) },
      { ...other, from: firstCheckpoint, to: at(0n, 2n) },
    );
    assert.deepEqual(await read(zero, one, other), [at(1n, 1n), at(5n, 9n), at(0n, 2n)]);
  });

  it('do not move when any of them is not where its owner saw it, and nothing of the rest stays', async () => {
    await move({ ...zero, from: firstCheckpoint, to: at(3n, 4n) });
    for (const from of [firstCheckpoint, at(2n, 4n), at(3n, 3n), at(4n, 4n)]) {
      await assert.rejects(
        move({ ...one, from: firstCheckpoint, to: at(9n, 9n) }, { ...zero, from, to: at(9n, 9n) }),
        moved,
      );
    }
    assert.deepEqual(await read(zero, one), [at(3n, 4n), firstCheckpoint]);
  });

  it('are not invented where the owner saw one and the database has none', async () => {
    await assert.rejects(move({ ...zero, from: at(3n, 4n), to: at(5n, 6n) }), moved);
    assert.deepEqual(await read(zero), [firstCheckpoint]);
  });

  it('let one of two owners insert the first', async () => {
    const both = await Promise.allSettled([
      move({ ...zero, from: firstCheckpoint, to: at(1n, 1n) }),
      move({ ...zero, from: firstCheckpoint, to: at(2n, 2n) }),
    ]);
    assert.deepEqual(both.map((each) => each.status).toSorted(), ['fulfilled', 'rejected']);
  });
});
