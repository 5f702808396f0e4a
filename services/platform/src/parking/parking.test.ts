import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { readCheckpoints } from '../consumer/checkpoints.ts';
import { type Consumer, type ConsumerOptions, createConsumer } from '../consumer/consumer.ts';
import { lockFencesExclusively } from '../database/fence-lock.ts';
import { createFenceTable, raiseFences } from '../event-store/fences.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LogWrite } from '../event-log/port.ts';
import type { TenantId, Token } from '../ids/ids.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import {
  type AppliedBatch,
  type AppliedSchema,
  appliedOf,
  createAppliedTables,
  type EffectStep,
  storeApplied,
} from '../testing/applied-records.ts';
import { emptyRecord, openTestLog, recordWrite, type TestLog } from '../testing/log-records.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { peersWithOwner } from '../testing/topic-owner.ts';
import type { ParkingOptions } from './park.ts';
import { replayStream, type ReplayStep } from './replay.ts';
import { dropErased } from './store.ts';
import { createParkingTables } from './tables.ts';

const zero = { topic: 'tickets.v1', partition: 0 } as const;
const acme = 'acme' as TenantId;
const tokenOf = (stream: number): Token => stream.toString(16).padStart(32, '0') as Token;
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 1), signal),
};
type At = (step: EffectStep, batch: AppliedBatch) => void | Promise<void>;
type RecordWrite = Extract<LogWrite, { kind: 'record' }>;

function writeOf(sequence: number, stream: number, incarnation = 0): RecordWrite {
  const record = emptyRecord(`parking#${sequence}`);
  assert.ok(record.header);
  const streamToken = Buffer.from(tokenOf(stream), 'hex');
  const part = {
    name: 'user',
    scopeKind: 3,
    scopeToken: streamToken,
    incarnation,
    box: Buffer.alloc(0),
    erasedAtAppend: false,
  } as const;
  return recordWrite({
    ...record,
    header: { ...record.header, type: 'TicketOpened', streamToken },
    parts: incarnation === 0 ? [] : [part],
  });
}

describe('parking', function () {
  this.timeout(120_000);
  let db: Kysely<AppliedSchema>;
  let ownerDb: Kysely<unknown>;
  let testLog: TestLog;
  let consumers: Consumer[];

  before(async () => {
    db = await openTestDatabase<AppliedSchema>('parking');
    await createAppliedTables(db);
    await createParkingTables(db);
    await createFenceTable(db);
    ownerDb = await openTestDatabase('parking-owner');
    await createOutboxTables(ownerDb);
  });
  beforeEach(async () => {
    await sql`truncate applied, checkpoints, parked_streams, parked_records, fences`.execute(db);
    testLog = openTestLog();
    consumers = [];
  });
  afterEach(async () => {
    for (const consumer of consumers) await consumer.stop();
    await testLog.destroy();
  });

  const parking: ParkingOptions = { service: 'predictions', streamKindOf: () => 'ticket' };
  const create = (
    at: At = () => {},
    options: Partial<ConsumerOptions<AppliedSchema, AppliedBatch>> = {},
  ): Consumer => {
    const consumer = createConsumer({
      name: 'predictions',
      db,
      eventLog: testLog.log,
      topics: ['tickets.v1'],
      peers: peersWithOwner(ownerDb),
      effect: storeApplied(at),
      clock: hurriedClock,
      logger: pino({ level: 'silent' }),
      waitMs: 20,
      parking,
      ...options,
    });
    consumers.push(consumer);
    consumer.start();
    return consumer;
  };
  const append = async (first: bigint, writes: readonly LogWrite[]): Promise<void> => {
    const writer = await testLog.log.openWriter(zero);
    await writer.append(first, writes);
    await writer.close();
  };
  const parked = async (): Promise<readonly (readonly [bigint, string])[]> => {
    const { rows } = await sql<{ sequence: bigint; reason: string }>`
      select sequence, reason from parked_records order by sequence`.execute(db);
    return rows.map(({ sequence, reason }) => [sequence, reason]);
  };
  const replay = async (
    stream: number,
    at: At = () => {},
    batchMax = 100,
  ): Promise<ReplayStep | undefined> => {
    const id = { ...zero, tenantId: acme, stream: tokenOf(stream) };
    const ports = { db, parking, effect: storeApplied(at), clock: hurriedClock, batchMax };
    let last: ReplayStep | undefined;
    for await (const step of replayStream(ports, id, new AbortController().signal)) last = step;
    return last;
  };
  /** Fails for these sequences, alone or among others, as an effect that meets invalid facts does. */
  const failAt = (sequences: ReadonlySet<bigint>, where: EffectStep = 'prepare') => {
    return (step: EffectStep, { records }: AppliedBatch): void => {
      if (step === where && records.some(({ sequence }) => sequences.has(sequence))) {
        throw new RangeError('an enum of a later version');
      }
    };
  };

  for (const where of ['prepare', 'before-write', 'after-write'] as const) {
    it(`parks the record that makes an effect fail at ${where}, and what follows it`, async () => {
      await append(
        1n,
        [1, 2, 3, 1, 2, 3, 1, 2, 3].map((stream, at) => writeOf(at + 1, stream)),
      );
      const consumer = create(failAt(new Set([2n]), where));
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [1n, 3n, 4n, 6n, 7n, 9n]);
      assert.deepEqual(await parked(), [
        [2n, 'INTERNAL_DEFECT'],
        [5n, 'STREAM_PARKED'],
        [8n, 'STREAM_PARKED'],
      ]);
      assert.equal(consumer.problem(), undefined);
      const [checkpoint] = await readCheckpoints(db, [zero]);
      assert.equal(checkpoint?.sequence, 9n);
      assert.equal((await replay(2))?.state, 'done');
      assert.deepEqual((await appliedOf(db, zero)).slice(-3), [2n, 5n, 8n]);
      await append(10n, [writeOf(10, 2)]);
      await consumer.caughtUp();
      assert.deepEqual((await appliedOf(db, zero)).at(-1), 10n);
    });
  }

  it('parks nothing for what is not the fault of a record', async () => {
    await append(
      1n,
      [1, 2, 3].map((stream, at) => writeOf(at + 1, stream)),
    );
    const down = create(() => {
      throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
    });
    await assert.rejects(down.caughtUp(), { reason: 'INTERNAL_DEFECT' });
    const refused = create(() => {
      throw new ServiceError('SCOPE_NOT_ALLOWED');
    });
    await assert.rejects(refused.caughtUp(), { reason: 'SCOPE_NOT_ALLOWED' });
    assert.deepEqual(await parked(), []);
    let failures = 3;
    await create(() => {
      failures -= 1;
      if (failures >= 0) throw new ServiceError('KEYS_UNAVAILABLE');
    }).caughtUp();
    assert.deepEqual(await appliedOf(db, zero), [1n, 2n, 3n]);
    assert.deepEqual(await parked(), []);
  });

  it('never touches privacy.v1', () => {
    assert.throws(() => create(undefined, { topics: ['privacy.v1'] }), RangeError);
    assert.throws(() => create(undefined, { topics: ['tickets.v1', 'privacy.v1'] }), RangeError);
  });

  it('stops the partition at the hundredth in a row, loudly, and again after every restart', async () => {
    await append(
      1n,
      Array.from({ length: 150 }, (_, at) => writeOf(at + 1, at)),
    );
    const all = new Set(Array.from({ length: 140 }, (_, at) => BigInt(at + 11)));
    for (const recordsMax of [500, 20, 500]) {
      const consumer = create(failAt(all), { recordsMax });
      await assert.rejects(consumer.caughtUp(), { reason: 'POISON_LIMIT' });
      assert.equal(consumer.problem(), 'partition tickets.v1/0 stopped: POISON_LIMIT at 110');
      assert.equal((await parked()).length, 99);
      assert.deepEqual((await appliedOf(db, zero)).length, 10);
      await consumer.stop();
    }
    // What the operator mended is applied, and the row has ended.
    const mended = create();
    await mended.caughtUp();
    assert.equal(mended.problem(), undefined);
    assert.equal((await appliedOf(db, zero)).length, 51);
  });

  it('stops the partition at more than so many in the window', async () => {
    const limits = { windowEvents: 50n, poisonMax: 5, inARowMax: 100 };
    await append(
      1n,
      Array.from({ length: 100 }, (_, at) => writeOf(at + 1, at)),
    );
    const spread = new Set([5n, 10n, 20n, 30n, 40n, 55n, 56n, 57n]);
    const consumer = create(failAt(spread), { parking: { ...parking, limits } });
    // At 55 the first has left the window; at 56 six lie in it.
    await assert.rejects(consumer.caughtUp(), { message: /POISON_LIMIT at 56$/ });
    assert.equal((await parked()).length, 6);
    assert.equal((await appliedOf(db, zero)).length, 49);
  });

  it('lets what arrives during a replay queue behind, and a replay that stops in the middle resumes', async () => {
    await append(
      1n,
      [1, 1, 1, 1].map((stream, at) => writeOf(at + 1, stream)),
    );
    const consumer = create(failAt(new Set([1n])));
    await consumer.caughtUp();
    assert.equal((await parked()).length, 4);
    let steps = 0;
    const arrive: At = async (step) => {
      steps += 1;
      if (step !== 'prepare' || steps > 1) return;
      await append(5n, [writeOf(5, 1), writeOf(6, 2)]);
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [6n]);
    };
    const gone = new ServiceError('SCOPE_NOT_ALLOWED');
    let batches = 0;
    const dies: At = async (step, batch) => {
      await arrive(step, batch);
      if (step === 'after-write') batches += 1;
      if (batches === 2) throw gone;
    };
    await assert.rejects(replay(1, dies, 2), { reason: 'SCOPE_NOT_ALLOWED' });
    assert.deepEqual(await appliedOf(db, zero), [6n, 1n, 2n]);
    assert.deepEqual(await replay(1, undefined, 2), { state: 'done', applied: 3 });
    assert.deepEqual(await appliedOf(db, zero), [6n, 1n, 2n, 3n, 4n, 5n]);
  });

  it('applies each once when two replays run at once', async () => {
    await append(
      1n,
      Array.from({ length: 20 }, (_, at) => writeOf(at + 1, 1)),
    );
    await create(failAt(new Set([1n]))).caughtUp();
    const ends = await Promise.all([replay(1, undefined, 3), replay(1, undefined, 4)]);
    assert.ok(ends.every((end) => end?.state === 'done' || end?.state === 'not_parked'));
    assert.deepEqual(
      await appliedOf(db, zero),
      Array.from({ length: 20 }, (_, at) => BigInt(at + 1)),
    );
    assert.deepEqual(await parked(), []);
  });

  it('keeps a batch that comes while the last of a stream is replayed from parking behind nothing', async () => {
    await append(1n, [writeOf(1, 1), writeOf(2, 1)]);
    const consumer = create(failAt(new Set([1n])));
    await consumer.caughtUp();
    let arriving: Promise<void> | undefined;
    const end = await replay(1, async (step) => {
      if (step !== 'after-write') return;
      // The replay's transaction is about to commit: on PostgreSQL the consumer's runs beside it.
      arriving = append(3n, [writeOf(3, 1)]).then(async () => consumer.caughtUp());
      await systemClock.sleep(300);
    });
    assert.equal(end?.state, 'done');
    await arriving;
    assert.deepEqual(await parked(), []);
    assert.deepEqual(await appliedOf(db, zero), [1n, 2n, 3n]);
  });

  describe('and erasure', () => {
    const erase = async (stream: number, incarnation: number): Promise<number> => {
      const scope = { kind: 'ticket', token: tokenOf(stream) } as const;
      return await db.transaction().execute(async (tx) => {
        await lockFencesExclusively(tx, 'predictions', [acme]);
        await raiseFences(tx, acme, [{ scope, incarnation, cutOffMs: 0 }]);
        return await dropErased(
          tx,
          acme,
          ['tickets.v1'],
          [{ token: tokenOf(stream), incarnation }],
        );
      });
    };

    it('drops what is parked, up to its incarnation, and of no other topic or tenant', async () => {
      await append(1n, [writeOf(1, 1, 1), writeOf(2, 1, 2), writeOf(3, 2), writeOf(4, 1, 1)]);
      const consumer = create(failAt(new Set([1n, 3n])));
      await consumer.caughtUp();
      const others = { token: tokenOf(1), incarnation: 9 };
      await db.transaction().execute(async (tx) => {
        assert.equal(await dropErased(tx, 'bolt', ['tickets.v1'], [others]), 0);
        assert.equal(await dropErased(tx, acme, ['usage.v1'], [others]), 0);
      });
      assert.equal(await erase(1, 1), 2);
      assert.deepEqual(await parked(), [
        [2n, 'STREAM_PARKED'],
        [3n, 'INTERNAL_DEFECT'],
      ]);
      assert.equal((await replay(1))?.state, 'done');
      assert.deepEqual(await appliedOf(db, zero), [2n]);
    });

    it('keeps events of who came back from parking behind what it drops', async () => {
      await append(1n, [writeOf(1, 1, 1)]);
      const consumer = create(failAt(new Set([1n])));
      await consumer.caughtUp();
      const scope = { kind: 'ticket', token: tokenOf(1) } as const;
      const upToOne = { token: tokenOf(1), incarnation: 1 };
      let arriving: Promise<void> | undefined;
      await db.transaction().execute(async (tx) => {
        await lockFencesExclusively(tx, 'predictions', [acme]);
        await raiseFences(tx, acme, [{ scope, incarnation: 1, cutOffMs: 0 }]);
        assert.equal(await dropErased(tx, acme, ['tickets.v1'], [upToOne]), 1);
        // About to commit: on PostgreSQL the consumer's transaction runs beside it, and waits for the fence lock.
        arriving = append(2n, [writeOf(2, 1, 2)]).then(async () => consumer.caughtUp());
        await systemClock.sleep(300);
      });
      await arriving;
      assert.deepEqual(await parked(), []);
      assert.deepEqual(await appliedOf(db, zero), [2n]);
    });

    it('leaves nothing to be parked afterwards, and a plan that was made before is made again', async () => {
      await append(1n, [writeOf(1, 1), writeOf(2, 2), writeOf(3, 1)]);
      let isErased = false;
      const consumer = create(async (step, batch) => {
        // The erasure commits just before the record turns out to be poison, and would be parked.
        if (step === 'prepare' && batch.records.length === 1 && !isErased) {
          isErased = true;
          assert.equal(await erase(1, 1), 0);
        }
        failAt(new Set([1n]))(step, batch);
      });
      await consumer.caughtUp();
      assert.ok(isErased);
      assert.deepEqual(await parked(), []);
      // What is good of the erased stream is still applied: totals keep it.
      assert.deepEqual(await appliedOf(db, zero), [2n, 3n]);
    });

    it('drops a record that the owner tombstoned, by its key, in the same batch too', async () => {
      const bad = { ...writeOf(1, 1), value: Buffer.from('ffff', 'hex') };
      const tombstone = { kind: 'tombstone', eventId: bad.eventId } as const;
      await append(1n, [bad, writeOf(2, 2), writeOf(3, 3)]);
      const consumer = create(failAt(new Set([3n])));
      await consumer.caughtUp();
      assert.equal((await parked()).length, 2);
      await append(4n, [tombstone]);
      await consumer.caughtUp();
      assert.deepEqual(await parked(), [[3n, 'INTERNAL_DEFECT']]);
      const { rows } = await sql<{
        streams: bigint;
      }>`select count(*) as streams from parked_streams`.execute(db);
      assert.equal(rows[0]?.streams, 1n);
    });
  });

  it('loses, repeats and swaps nothing, whatever is poison, killed and cut into batches', async () => {
    const layout = fc.array(
      fc.record({
        stream: fc.integer({ min: 1, max: 4 }),
        kind: fc.constantFrom('good', 'good', 'good', 'effect', 'bytes', 'newer'),
      }),
      { minLength: 1, maxLength: 30 },
    );
    const kills = fc.array(fc.constantFrom('none', 'none', 'kill'), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        layout,
        kills,
        fc.integer({ min: 1, max: 12 }),
        async (events, faults, max) => {
          await sql`truncate applied, checkpoints, parked_streams, parked_records`.execute(db);
          const own = openTestLog();
          const good = events.map(({ stream }, at) => writeOf(at + 1, stream));
          const writer = await own.log.openWriter(zero);
          await writer.append(
            1n,
            good.map((write, at) => spoil(write, events[at]?.kind ?? 'good')),
          );
          await writer.close();
          const poison = new Set(
            events.flatMap(({ kind }, at) => (kind === 'effect' ? [BigInt(at + 1)] : [])),
          );
          const rest = [...faults];
          const at: At = async (step, batch) => {
            failAt(poison)(step, batch);
            if (rest.shift() === 'kill') throw new ServiceError('SCOPE_NOT_ALLOWED');
          };
          for (let lives = 0; lives < 40; lives += 1) {
            const consumer = create(at, { eventLog: own.log, recordsMax: max });
            const ended = await consumer.caughtUp().then(
              () => true,
              () => false,
            );
            await consumer.stop();
            if (ended) break;
          }
          // Upgraded, mended: everything that was parked can be applied.
          for (const [index, write] of good.entries()) {
            await sql`update parked_records set record = ${Buffer.from(write.value)}
            where sequence = ${BigInt(index + 1)} and reason <> 'RECORD_MALFORMED'`.execute(db);
          }
          for (let stream = 1; stream <= 4; stream += 1) {
            for (let lives = 0; lives < 40; lives += 1) {
              const ended = await replay(
                stream,
                () => {
                  if (rest.shift() === 'kill') throw new ServiceError('SCOPE_NOT_ALLOWED');
                },
                max,
              ).then(
                () => true,
                () => false,
              );
              if (ended) break;
            }
          }
          await own.destroy();
          const applied = await appliedOf(db, zero);
          const readable = events.flatMap(({ kind }, index) =>
            kind === 'bytes' ? [] : [BigInt(index + 1)],
          );
          assert.deepEqual(
            applied.toSorted((a, b) => (a < b ? -1 : 1)),
            readable,
          );
          for (let stream = 1; stream <= 4; stream += 1) {
            const ofStream = applied.filter((each) => events[Number(each) - 1]?.stream === stream);
            assert.deepEqual(
              ofStream,
              ofStream.toSorted((a, b) => (a < b ? -1 : 1)),
            );
          }
          const unreadable = events.filter(({ kind }) => kind === 'bytes').length;
          assert.equal((await parked()).length, unreadable);
        },
      ),
      { numRuns: 25 },
    );
  });
});

function spoil(write: RecordWrite, kind: string): RecordWrite {
  if (kind === 'bytes') return { ...write, value: Buffer.from('ffff', 'hex') };
  if (kind !== 'newer') return write;
  const record = LogRecord.decode(write.value);
  assert.ok(record.header);
  const header = { ...record.header, schemaVersion: 99 };
  return { ...write, value: LogRecord.encode({ ...record, header }).finish() };
}
