import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogEntry } from '../event-log/port.ts';
import type { EventId } from '../ids/ids.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { until } from '../testing/until.ts';
import { entriesOf, openTestEventLog, type TestEventLog } from '../testing/test-event-log.ts';
import { enqueue, pendingStats } from './enqueue.ts';
import type { OutboxRow, SequencedRow } from './port.ts';
import { createRelay, type Relay, type RelayOptions } from './relay.ts';
import { createPartitionRelay } from './relay-partition.ts';
import { createOutboxTables } from './tables.ts';

const topic = 'things.v1';
const partitionCount = 3;
const logger = pino({ level: 'silent' });

const eventIdOf = (place: number): EventId =>
  `00000000-0000-7000-8000-${place.toString(16).padStart(12, '0')}` as EventId;

/** A record whose value is its place in the order of enqueueing. */
function recordAt(place: number, partition = place % partitionCount): OutboxRow {
  const value = Buffer.from(`value ${place}`);
  return {
    kind: 'record',
    partition,
    eventId: eventIdOf(place),
    value,
    recordedAtMs: 1_000 + place,
  };
}

function described(entries: readonly LogEntry[]): string[] {
  return entries.map((entry) => {
    if (entry.kind === 'record') return `${entry.sequence}: ${Buffer.from(entry.value).toString()}`;
    return entry.kind === 'tick' ? `tick ${entry.lastSequence}` : 'tombstone';
  });
}

describe('the relay', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  let testLog: TestEventLog;
  let log: EventLog;
  let relays: Relay[];

  const relayOn = (overrides: Partial<RelayOptions<unknown>> = {}): Relay => {
    const relay = createRelay({
      db,
      eventLog: log,
      topic,
      clock: systemClock,
      logger,
      ...overrides,
      settings: { pollMs: 5, retryFirstMs: 1, retryMaxMs: 4, ...overrides.settings },
    });
    relays.push(relay);
    return relay;
  };
  const put = (rows: readonly OutboxRow[]): Promise<void> =>
    db.transaction().execute((tx) => enqueue(tx, topic, rows));
  const drained = async (): Promise<boolean> => (await pendingStats(db, topic, 1)).rows === 0;

  beforeEach(async () => {
    db = await openTestDatabase('relay');
    await createOutboxTables(db);
    testLog = openTestEventLog(new Map([[topic, partitionCount]]));
    log = testLog.log;
    relays = [];
  });
  afterEach(async () => {
    for (const relay of relays) await relay.stop();
    await testLog.close();
  });

  it('carries 10,000 rows in order, numbered without gaps, and tells the owner each number', async () => {
    const told = new Map<string, SequencedRow[]>();
    const relay = relayOn({
      onSequenced: async (tx, rows) => {
        await sql`select 1`.execute(tx);
        for (const row of rows) {
          const name = String(row.partition);
          told.set(name, [...(told.get(name) ?? []), row]);
        }
      },
    });
    await relay.start();
    for (let from = 0; from < 10_000; from += 500) {
      await put(Array.from({ length: 500 }, (_, index) => recordAt(from + index)));
      relay.wake();
    }
    await until(drained);
    for (const [partition, entries] of (await entriesOf(log, topic)).entries()) {
      const places = Array.from({ length: 10_000 }, (_, place) => place).filter(
        (place) => place % partitionCount === partition,
      );
      assert.deepEqual(
        described(entries),
        places.map((place, index) => `${index + 1}: value ${place}`),
      );
      assert.deepEqual(
        told.get(String(partition)),
        places.map((place, index) => ({
          eventId: eventIdOf(place),
          partition,
          sequence: BigInt(index + 1),
        })),
      );
    }
    assert.equal(relay.problem(), undefined);
  });

  it('sends tombstones and ticks after every earlier row; ticks name the last sequence', async () => {
    await put([
      recordAt(0, 0),
      recordAt(1, 0),
      { kind: 'tombstone', partition: 0, eventId: eventIdOf(0) },
      { kind: 'tick', partition: 0 },
      recordAt(2, 0),
      { kind: 'tick', partition: 0 },
      { kind: 'tick', partition: 1 },
    ]);
    const relay = relayOn({ settings: { rowsMax: 2 } });
    await relay.start();
    await until(drained);
    const [zero, one] = await entriesOf(log, topic);
    assert.deepEqual(described(zero ?? []), [
      '2: value 1',
      'tombstone',
      'tick 2',
      '3: value 2',
      'tick 3',
    ]);
    assert.deepEqual(described(one ?? []), ['tick 0']);
  });

  it('bounds its batches in rows and in bytes, one row at least', async () => {
    const sizes: number[] = [];
    const watched: EventLog = {
      ...log,
      openWriter: async (partition) => {
        const writer = await log.openWriter(partition);
        const append: typeof writer.append = async (firstSequence, writes) => {
          sizes.push(writes.length);
          await writer.append(firstSequence, writes);
        };
        return { ...writer, append };
      },
    };
    const large = Buffer.alloc(2_000);
    const rows = Array.from({ length: 7 }, (_, place) => recordAt(place, 0));
    await put([
      ...rows,
      { ...recordAt(7, 0), kind: 'record', value: large } as OutboxRow,
      recordAt(8, 0),
    ]);
    await relayOn({ eventLog: watched, settings: { rowsMax: 4, bytesMax: 500 } }).start();
    await until(drained);
    assert.deepEqual(sizes, [4, 3, 1, 1]);
  });

  it('stops loudly when the log is ahead of its table', async () => {
    const writer = await log.openWriter({ topic, partition: 1 });
    await writer.append(1n, [
      { kind: 'record', eventId: Buffer.alloc(16), value: Buffer.alloc(1), recordedAtMs: 1 },
    ]);
    await put([recordAt(0, 0), recordAt(1, 1)]);
    const relay = relayOn();
    await relay.start();
    await until(() => relay.problem() !== undefined);
    assert.match(relay.problem() ?? '', /things\.v1\/1 stopped: LOG_AHEAD_OF_TABLE/);
    await until(async () => (await pendingStats(db, topic, 9)).rows === 1);
    assert.equal((await entriesOf(log, topic))[1]?.length, 1, 'nothing was written over it');
  });

  it('sees a log that is ahead also when nothing is pending', async () => {
    const writer = await log.openWriter({ topic, partition: 2 });
    await writer.append(1n, [
      { kind: 'record', eventId: Buffer.alloc(16), value: Buffer.alloc(1), recordedAtMs: 1 },
    ]);
    const relay = relayOn();
    await relay.start();
    await until(() => relay.problem() !== undefined);
    assert.match(relay.problem() ?? '', /things\.v1\/2 stopped: LOG_AHEAD_OF_TABLE/);
  });

  it('stops loudly when the log has lost what was published', async () => {
    await put([recordAt(0, 0)]);
    const relay = relayOn();
    await relay.start();
    await until(drained);
    await relay.stop();
    const empty = openTestEventLog(new Map([[topic, partitionCount]]));
    await put([recordAt(1, 0)]);
    const next = relayOn({ eventLog: empty.log });
    await next.start();
    await until(() => next.problem() !== undefined);
    assert.match(next.problem() ?? '', /things\.v1\/0 stopped: SEQUENCE_GAP/);
    assert.deepEqual(await entriesOf(empty.log, topic), [[], [], []]);
    await next.stop();
    await empty.close();
  });

  it('stops loudly when numbered rows were deleted before they were published', async () => {
    await put([recordAt(0, 0), recordAt(1, 0)]);
    const failing: EventLog = {
      ...log,
      openWriter: async (partition) => {
        const writer = await log.openWriter(partition);
        const append = async (): Promise<void> => {
          throw new ServiceError('STORE_UNAVAILABLE');
        };
        return { ...writer, append };
      },
    };
    const first = relayOn({ eventLog: failing });
    await first.start();
    await until(() => first.problem() !== undefined);
    assert.match(first.problem() ?? '', /fails: STORE_UNAVAILABLE/);
    await first.stop();
    await sql`delete from outbox where row_id = (select min(row_id) from outbox)`.execute(db);
    const second = relayOn();
    await second.start();
    await until(() => second.problem() !== undefined);
    assert.match(second.problem() ?? '', /stopped: SEQUENCE_GAP/);
  });

  it('reports what keeps failing until it works again', async () => {
    const outage = { over: false };
    const failing: EventLog = {
      ...log,
      openWriter: async (partition) => {
        if (!outage.over) throw new ServiceError('STORE_UNAVAILABLE', 'the log is away');
        return log.openWriter(partition);
      },
    };
    await put([recordAt(0, 0)]);
    const relay = relayOn({ eventLog: failing });
    await relay.start();
    await until(() => relay.problem() !== undefined);
    assert.match(relay.problem() ?? '', /the log is away/);
    outage.over = true;
    await until(drained);
    await until(() => relay.problem() === undefined);
  });

  it('has no problem any more once its session stands again, however long that then lasts', async () => {
    const away = { until: Number.MAX_SAFE_INTEGER };
    let sessions = 0;
    const failing: EventLog = {
      ...log,
      partitionsOf: (name) => {
        // The first thing that a session asks for.
        sessions += 1;
        if (sessions <= away.until) throw new ServiceError('STORE_UNAVAILABLE');
        return log.partitionsOf(name);
      },
    };
    const relay = relayOn({ eventLog: failing });
    await relay.start();
    await until(() => relay.problem() !== undefined);
    assert.match(relay.problem() ?? '', /^relay of things\.v1: STORE_UNAVAILABLE/);
    away.until = 0;
    await until(() => relay.problem() === undefined);
  });

  it('refuses to start when commits may be lost', async () => {
    const other = openTestEventLog(new Map([[topic, 1]]));
    await sql`set synchronous_commit to off`.execute(db);
    try {
      await assert.rejects(relayOn({ eventLog: other.log }).start(), { reason: 'CONFIG_INVALID' });
    } finally {
      await sql`set synchronous_commit to on`.execute(db);
      await other.close();
    }
  });

  it('works for one relay at a time, and the other takes over', async () => {
    const owners = new Set<string>();
    const named = (name: string): Relay =>
      relayOn({
        onSequenced: async () => {
          owners.add(name);
        },
      });
    const [one, two] = [named('one'), named('two')];
    await one.start();
    await two.start();
    for (let place = 0; place < 50; place += 1) {
      await put([recordAt(place, 0)]);
      one.wake();
      two.wake();
    }
    await until(drained);
    assert.equal(owners.size, 1, 'one relay owns the partition');
    await (owners.has('one') ? one : two).stop();
    await put([recordAt(50, 0)]);
    await until(drained);
    assert.equal(owners.size, 2);
    const [zero] = await entriesOf(log, topic);
    assert.deepEqual(
      described(zero ?? []),
      Array.from({ length: 51 }, (_, place) => `${place + 1}: value ${place}`),
    );
  });

  it('writes each row once even when two relays think that they own the partition', async () => {
    const ports = {
      db,
      eventLog: log,
      limits: { rowsMax: 3, bytesMax: 1e6 },
      onSequenced: undefined,
    };
    await sql`insert into partition_counters (topic, partition) values (${topic}, 0)`.execute(db);
    const pair = [0, 1].map(() => createPartitionRelay({ topic, partition: 0 }, ports));
    const { signal } = new AbortController();
    let conflicts = 0;
    for (let round = 0; round < 30; round += 1) {
      await put(Array.from({ length: 7 }, (_, index) => recordAt(round * 7 + index, 0)));
      const outcomes = await Promise.allSettled(pair.map((relay) => relay.drain(signal)));
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') continue;
        assert.equal(outcome.reason.reason, 'SEQUENCE_CONFLICT');
        conflicts += 1;
        await pair[index]?.forgetWriter();
      }
    }
    while (!(await drained())) {
      await pair[0]?.forgetWriter();
      await pair[0]?.drain(signal);
    }
    assert.ok(conflicts > 0, 'the two met');
    const [zero] = await entriesOf(log, topic);
    assert.deepEqual(
      described(zero ?? []),
      Array.from({ length: 210 }, (_, place) => `${place + 1}: value ${place}`),
    );
  });

  it('does not take a log that another relay moved on for one that lost records', async () => {
    const ports = {
      db,
      eventLog: log,
      limits: { rowsMax: 3, bytesMax: 1e6 },
      onSequenced: undefined,
    };
    await sql`insert into partition_counters (topic, partition) values (${topic}, 0)`.execute(db);
    const [zombie, owner] = [0, 1].map(() => createPartitionRelay({ topic, partition: 0 }, ports));
    const { signal } = new AbortController();
    await put([recordAt(0, 0)]);
    await zombie?.drain(signal);
    await put([recordAt(1, 0)]);
    await owner?.drain(signal);
    await put([recordAt(2, 0)]);
    await zombie?.drain(signal);
    const [zero] = await entriesOf(log, topic);
    assert.deepEqual(described(zero ?? []), ['1: value 0', '2: value 1', '3: value 2']);
  });

  it('law: whatever fails, each row is on the log once, in order, without gaps', async () => {
    type Fault =
      | 'none'
      | 'append fails'
      | 'append answer lost'
      | 'commit fails'
      | 'commit answer lost'
      | 'fenced';
    const faults = fc.constantFrom<Fault>(
      'none',
      'append fails',
      'append answer lost',
      'commit fails',
      'commit answer lost',
      'fenced',
    );
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('put' as const), rows: fc.integer({ min: 1, max: 9 }) }),
        fc.record({ kind: fc.constant('restart' as const) }),
      ),
      { minLength: 1, maxLength: 8 },
    );
    const runs = { count: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(faults, { maxLength: 12 }), steps, async (planned, script) => {
        runs.count += 1;
        const runTopic = `law-${runs.count}`;
        const own = openTestEventLog(new Map([[runTopic, 1]]));
        const left = [...planned];
        const next = (kinds: readonly Fault[]): Fault =>
          left[0] !== undefined && kinds.includes(left[0]) ? (left.shift() ?? 'none') : 'none';
        const relay = (): Relay =>
          createRelay({
            db: faultyDatabase(db, () => next(['none', 'commit fails', 'commit answer lost'])),
            eventLog: faultyLog(own.log, () =>
              next(['none', 'append fails', 'append answer lost', 'fenced']),
            ),
            topic: runTopic,
            clock: systemClock,
            logger,
            settings: { rowsMax: 4, pollMs: 1, retryFirstMs: 0, retryMaxMs: 1 },
          });
        let running = relay();
        await running.start();
        let place = 0;
        for (const step of script) {
          if (step.kind === 'put') {
            const rows = Array.from({ length: step.rows }, (_, index) =>
              recordAt(place + index, 0),
            );
            await db.transaction().execute((tx) => enqueue(tx, runTopic, rows));
            place += step.rows;
            running.wake();
          } else {
            await running.stop();
            running = relay();
            await running.start();
          }
        }
        await until(async () => (await pendingStats(db, runTopic, 1)).rows === 0);
        await running.stop();
        const [entries] = await entriesOf(own.log, runTopic);
        await own.close();
        assert.deepEqual(
          described(entries ?? []),
          Array.from({ length: place }, (_, index) => `${index + 1}: value ${index}`),
        );
      }),
      { numRuns: 40 },
    );
  });

  function faultyLog(real: EventLog, fault: () => string): EventLog {
    return {
      ...real,
      openWriter: async (partition) => {
        const writer = await real.openWriter(partition);
        const append: typeof writer.append = async (firstSequence, writes) => {
          const now = fault();
          if (now === 'append fails') throw new ServiceError('STORE_UNAVAILABLE');
          if (now === 'fenced') await real.openWriter(partition);
          await writer.append(firstSequence, writes);
          if (now === 'append answer lost') throw new ServiceError('STORE_UNAVAILABLE');
        };
        return { ...writer, append };
      },
    };
  }

  /** The same database, whose transactions fail before their commit or lose its answer. */
  function faultyDatabase(real: Kysely<unknown>, fault: () => string): Kysely<unknown> {
    const transaction = (): unknown => ({
      execute: async (work: (tx: unknown) => Promise<unknown>) => {
        const now = fault();
        const result = await real.transaction().execute(async (tx) => {
          const inner = await work(tx);
          if (now === 'commit fails') throw new ServiceError('STORE_UNAVAILABLE');
          return inner;
        });
        if (now === 'commit answer lost') throw new ServiceError('STORE_UNAVAILABLE');
        return result;
      },
    });
    return new Proxy(real, {
      get: (target, property) => {
        if (property === 'transaction') return transaction;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
});
