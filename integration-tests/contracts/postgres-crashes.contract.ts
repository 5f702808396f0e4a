import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { createConsumer } from '@lethe/platform/consumer/consumer.ts';
import { openPostgres } from '@lethe/platform/database/postgres.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { enqueue } from '@lethe/platform/outbox/enqueue.ts';
import { createRelay, type Relay } from '@lethe/platform/outbox/relay.ts';
import { createOutboxTables } from '@lethe/platform/outbox/tables.ts';
import {
  type AppliedSchema,
  appliedOf,
  createAppliedTables,
  storeApplied,
} from '@lethe/platform/testing/applied-records.ts';
import { emptyRecord, openTestLog, type TestLog } from '@lethe/platform/testing/log-records.ts';
import { entriesOf } from '@lethe/platform/testing/test-event-log.ts';
import { peersWithOwner } from '@lethe/platform/testing/topic-owner.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventIdFromBytes } from '@lethe/platform/ids/ids.ts';
import type { LocalPostgres } from '../../deploy/local/postgres.ts';
import { configOf, openServer } from './local-postgres.ts';

const topic = 'tickets.v1';
const logger = createLogger({ service: 'test', level: 'silent' });
const quick = { pollMs: 10, retryFirstMs: 5, retryMaxMs: 50 };

describe('PostgreSQL that is killed, and that lost commits', function () {
  this.timeout(180_000);
  let server: LocalPostgres;
  let owner: Kysely<unknown>;
  let reader: Kysely<AppliedSchema>;
  let testLog: TestLog;
  let running: { stop(): Promise<void> }[];
  before(async function () {
    const started = await openServer(true);
    if (started === undefined) this.skip();
    server = started;
  });
  beforeEach(async () => {
    running = [];
    owner = openPostgres({ ...configOf(server, 'owner'), connectionsMax: 16 }, 'create schema');
    reader = openPostgres(configOf(server, 'reader'), 'create schema');
    await sql`drop schema owner cascade; create schema owner`.execute(owner);
    await sql.raw('drop schema reader cascade; create schema reader').execute(reader);
    await createOutboxTables(owner);
    await sql`create table written (writer int4, place int4, primary key (writer, place))`.execute(
      owner,
    );
    await createAppliedTables(reader);
    testLog = openTestLog();
  });
  afterEach(async () => {
    for (const each of running) await each.stop();
    await owner.destroy();
    await reader.destroy();
    await testLog.destroy();
  });
  after(() => server?.destroy());

  const startRelay = async (): Promise<Relay> => {
    const relay = createRelay({
      db: owner,
      eventLog: testLog.log,
      topic,
      clock: systemClock,
      logger,
      settings: { ...quick, rowsMax: 20 },
    });
    running.unshift(relay);
    await untilAvailable(async () => await relay.start());
    return relay;
  };
  const startConsumer = () => {
    const consumer = createConsumer({
      name: 'predictions',
      db: reader,
      eventLog: testLog.log,
      topics: [topic],
      peers: peersWithOwner(owner),
      effect: storeApplied(),
      clock: { ...systemClock, sleep: async (_, signal) => await systemClock.sleep(5, signal) },
      logger,
      random: () => 0.5,
      waitMs: 20,
    });
    running.unshift(consumer);
    consumer.start();
    return consumer;
  };
  /** As a caller does who was not answered: once more, and the second time the server knows the id. */
  const write = async (writer: number, place: number): Promise<void> => {
    const record = emptyRecord(`${writer}/${place}`);
    assert.ok(record.header !== undefined);
    const row = {
      kind: 'record',
      partition: writer % 3,
      eventId: eventIdFromBytes(record.header.eventId),
      value: LogRecord.encode({
        ...record,
        clearPayload: Buffer.from(`${writer}/${place}`),
      }).finish(),
      recordedAtMs: Date.now(),
    } as const;
    await untilAvailable(
      async () =>
        await owner.transaction().execute(async (tx) => {
          const { rows } = await sql`insert into written values (${writer}, ${place})
            on conflict do nothing returning place`.execute(tx);
          if (rows.length > 0) await enqueue(tx, topic, [row]);
        }),
    );
  };
  const placesOnLog = async (): Promise<string[][]> =>
    (await entriesOf(testLog.log, topic)).map((entries) =>
      entries.map((entry, index) => {
        assert.ok(entry.kind === 'record');
        assert.equal(entry.sequence, BigInt(index + 1), 'sequences have no gap');
        return LogRecord.decode(entry.value).clearPayload.toString();
      }),
    );

  it('kill -9 of the server, 5 times under load: each row once on the log and once applied, in order', async () => {
    const writers = 6;
    const placesMin = 100;
    await startRelay();
    // The second relay and the second consumer compete for every partition, all the time.
    await startRelay();
    startConsumer();
    startConsumer();
    const killing = { over: false };
    const load = Array.from({ length: writers }, async (_, writer) => {
      let place = 0;
      for (; !killing.over || place < placesMin; place += 1) await write(writer, place);
      return place;
    });
    let kills = 0;
    for (; kills < 5; kills += 1) {
      await delay(400);
      await server.kill();
      await server.start();
    }
    killing.over = true;
    const written = await Promise.all(load);

    const total = written.reduce((sum, places) => sum + places, 0);
    await until(async () => (await placesOnLog()).flat().length >= total, 60_000);
    const onLog = await placesOnLog();
    assert.equal(onLog.flat().length, total);
    assert.equal(new Set(onLog.flat()).size, total, 'nothing twice');
    for (const [writer, places] of written.entries()) {
      const theirs = (onLog[writer % 3] ?? []).filter((text) => text.startsWith(`${writer}/`));
      assert.deepEqual(
        theirs,
        Array.from({ length: places }, (_, place) => `${writer}/${place}`),
      );
    }
    for (const [partition, places] of onLog.entries()) {
      const wanted = places.map((_, index) => BigInt(index + 1));
      await until(
        async () => (await appliedOf(reader, { topic, partition })).length >= wanted.length,
        60_000,
      );
      assert.deepEqual(await appliedOf(reader, { topic, partition }), wanted);
    }
    console.log(`    ${kills} kills, ${total} rows: 0 lost, 0 twice on the log, 0 applied twice`);
  });

  it('a server restored from an older copy stops its relay and leaves the log alone', async () => {
    const first = await startRelay();
    for (let place = 0; place < 30; place += 1) await write(place % 3, place);
    await until(async () => (await placesOnLog()).flat().length === 30);
    await first.stop();
    await server.stop();
    const copy = server.copy();
    await server.start();
    const second = await startRelay();
    for (let place = 30; place < 60; place += 1) await write(place % 3, place);
    await until(async () => (await placesOnLog()).flat().length === 60);
    await second.stop();
    await server.stop();
    server.restore(copy);
    await server.start();

    const third = await startRelay();
    for (let place = 60; place < 63; place += 1) await write(place % 3, place);
    const stopped = /tickets\.v1\/0 stopped: LOG_AHEAD_OF_TABLE.*tickets\.v1\/1 .*tickets\.v1\/2 /;
    await until(() => stopped.test(third.problem() ?? ''));
    assert.equal((await placesOnLog()).flat().length, 60, 'nothing was written over it');
    console.log(`    ${third.problem()?.split(';')[0]}`);
  });
});

async function untilAvailable(work: () => Promise<void>): Promise<void> {
  await until(async () => {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.reason !== 'STORE_UNAVAILABLE') throw error;
      await delay(10);
      return false;
    }
  }, 60_000);
}
