import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { migrateToLatest } from '../database/migrate.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TopicPartition } from '../event-log/port.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import { registerService } from '../grpc/register.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { until } from '../testing/until.ts';
import { compareAndSetCheckpoints, firstCheckpoint } from './checkpoints.ts';
import { watchOthersProgress } from './others-progress.ts';
import { createConsumerTables, type ConsumerSchema } from './tables.ts';

const privacy: TopicPartition = { topic: 'privacy.v1', partition: 0 };

describe('the progress of other members', () => {
  let db: Kysely<ConsumerSchema>;
  let ending: AbortController;
  let watching: Promise<void>;
  let applied: TopicPartition[];
  let head: bigint | undefined;
  let asked: number;

  before(async function () {
    this.timeout(30_000);
    db = await openTestDatabase<ConsumerSchema>('others-progress');
    await migrateToLatest(db, { '0001-consumer': { up: createConsumerTables } });
  });
  beforeEach(() => {
    ending = new AbortController();
    applied = [];
    asked = 0;
    head = 5n;
  });
  afterEach(async () => {
    ending.abort();
    await watching;
  });
  const watch = (elsewhere: readonly TopicPartition[]) => {
    const network = createInProcessNetwork();
    network.register('privacy', [
      registerService(SequenceServiceService, {
        missing: async () => ({ erased: [] }),
        heads: async () => {
          asked += 1;
          if (head === undefined) throw new ServiceError('STORE_UNAVAILABLE');
          return { heads: [{ partition: 0, sequence: head }], asOf: undefined };
        },
      }),
    ]);
    watching = watchOthersProgress({
      name: 'tickets',
      db,
      peers: network.peersFor('tickets'),
      clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(2, signal) },
      logger: createLogger({ service: 'test', level: 'silent' }),
      topics: ['privacy.v1'],
      elsewhere: () => elsewhere,
      applied: (partition) => applied.push(partition),
      signal: ending.signal,
    });
  };
  const moveTo = async (from: bigint, to: bigint) => {
    const at = (sequence: bigint) =>
      sequence === 0n ? firstCheckpoint : { sequence, nextOffset: sequence * 2n };
    await db
      .transaction()
      .execute((tx) => compareAndSetCheckpoints(tx, [{ ...privacy, from: at(from), to: at(to) }]));
  };

  it('is told once their checkpoint is where the owner was when first asked', async () => {
    watch([privacy]);
    await until(() => asked > 0);
    // What is appended later is nobody's to wait for.
    head = 9n;
    await moveTo(0n, 4n);
    await systemClock.sleep(20);
    assert.deepEqual(applied, []);
    await moveTo(4n, 5n);
    await until(() => applied.length > 0);
    assert.deepEqual(applied[0], privacy);
    assert.equal(asked, 1);
  });

  it('is asked for again when the owner was away', async () => {
    head = undefined;
    watch([privacy]);
    await until(() => asked > 2);
    assert.deepEqual(applied, []);
    head = 5n;
    await until(() => applied.length > 0);
  });

  it('is nobody’s business while this process has all partitions', async () => {
    watch([]);
    await systemClock.sleep(20);
    assert.equal(asked, 0);
  });
});
