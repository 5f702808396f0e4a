import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogWrite, TopicPartition } from '../event-log/port.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { recordErased } from '../outbox/erased-ranges.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import {
  type AppliedSchema,
  appliedOf,
  clearApplied,
  createAppliedTables,
  storeApplied,
} from '../testing/applied-records.ts';
import { emptyRecord, eventIdNamed, openTestLog, recordWrite } from '../testing/log-records.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { peersWithOwner } from '../testing/topic-owner.ts';
import { wrapLog } from '../testing/wrapped-log.ts';
import { createConsumer } from './consumer.ts';

const partitions: readonly TopicPartition[] = [0, 1].map((partition) => ({
  topic: 'tickets.v1',
  partition,
}));

const hurriedClock: Clock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 1), signal),
};

const nameOf = ({ partition }: TopicPartition, sequence: bigint): string =>
  `${partition}#${sequence}`;

type Kind = 'record' | 'erased' | 'tick';
type Fault = 'none' | 'retry' | 'kill';

/** What goes wrong, in the order of the steps and polls that it happens to; nothing once the list is over. */
interface Trouble {
  readonly faults: readonly Fault[];
  /** How many offsets a partition is sent back before a poll, and which. */
  readonly seeks: readonly { readonly partition: number; readonly back: number }[];
}

/** Appends the kinds and erases what is to be erased; answers the sequences that are left. */
async function fill(
  log: EventLog,
  ownerDb: Kysely<unknown>,
  at: TopicPartition,
  kinds: readonly Kind[],
): Promise<bigint[]> {
  const writer = await log.openWriter(at);
  const left: bigint[] = [];
  const erased: bigint[] = [];
  let sequence = 0n;
  const writes = kinds.map((kind): LogWrite => {
    if (kind === 'tick') return { kind: 'tick', lastSequence: sequence };
    sequence += 1n;
    (kind === 'erased' ? erased : left).push(sequence);
    return recordWrite(emptyRecord(nameOf(at, sequence)));
  });
  const tombstones = erased.map((each): LogWrite => {
    return { kind: 'tombstone', eventId: eventIdNamed(nameOf(at, each)) };
  });
  await ownerDb.transaction().execute((tx) => recordErased(tx, at.topic, at.partition, erased));
  await writer.append(1n, writes);
  await writer.append(0n, tombstones);
  return left;
}

/** The log, whose readers are sent back as `seeks` say. */
function redelivering(log: EventLog, seeks: Trouble['seeks']): EventLog {
  const rest = [...seeks];
  return wrapLog(log, async (poll, options, reader) => {
    const seek = rest.shift();
    if (seek !== undefined) {
      const at = { topic: 'tickets.v1', partition: seek.partition };
      const offset = reader.position(at) - BigInt(seek.back);
      reader.seek(at, offset < 0n ? 0n : offset);
    }
    return poll(options);
  });
}

describe('consumer under faults', function () {
  this.timeout(120_000);
  let db: Kysely<AppliedSchema>;
  let ownerDb: Kysely<unknown>;
  before(async () => {
    db = await openTestDatabase<AppliedSchema>('consumer-faults');
    await createAppliedTables(db);
    ownerDb = await openTestDatabase('consumer-faults-owner');
    await createOutboxTables(ownerDb);
  });

  /** Consumes to the end, as often started anew as it is killed; answers how often that was. */
  async function consumeAll(log: EventLog, trouble: Trouble, recordsMax: number): Promise<number> {
    const faults = [...trouble.faults];
    const eventLog = redelivering(log, trouble.seeks);
    for (let starts = 1; ; starts += 1) {
      const consumer = createConsumer({
        name: 'predictions',
        db,
        eventLog,
        topics: ['tickets.v1'],
        peers: peersWithOwner(ownerDb),
        effect: storeApplied(() => {
          const fault = faults.shift() ?? 'none';
          if (fault === 'retry') throw new ServiceError('STORE_UNAVAILABLE');
          if (fault === 'kill') throw new Error('killed');
        }),
        clock: hurriedClock,
        logger: pino({ level: 'silent' }),
        recordsMax,
        waitMs: 5,
      });
      consumer.start();
      try {
        await consumer.caughtUp();
        if (consumer.problem() === undefined) return starts;
      } catch (error) {
        assert.ok(error instanceof ServiceError && error.reason === 'INTERNAL_DEFECT');
      } finally {
        await consumer.stop();
      }
    }
  }

  const kinds = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Kind>('record') },
      { weight: 2, arbitrary: fc.constant<Kind>('erased') },
      { weight: 1, arbitrary: fc.constant<Kind>('tick') },
    ),
    { maxLength: 25 },
  );
  const trouble = fc.record<Trouble>({
    faults: fc.array(fc.constantFrom<Fault>('none', 'none', 'retry', 'kill'), { maxLength: 20 }),
    seeks: fc.array(fc.record({ partition: fc.nat(1), back: fc.nat(12) }), { maxLength: 15 }),
  });

  it('law: whatever is killed, retried or handed out again, each record is applied once, in order', async () => {
    let starts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(kinds, kinds),
        trouble,
        fc.integer({ min: 1, max: 12 }),
        async (given, wrong, recordsMax) => {
          await clearApplied(db);
          await sql`truncate erased_ranges, partition_counters`.execute(ownerDb);
          const testLog = openTestLog();
          const { log } = testLog;
          try {
            const expected: bigint[][] = [];
            for (const [index, at] of partitions.entries()) {
              expected.push(await fill(log, ownerDb, at, given[index] ?? []));
            }
            starts += await consumeAll(log, wrong, recordsMax);
            for (const [index, at] of partitions.entries()) {
              assert.deepEqual(await appliedOf(db, at), expected[index]);
            }
          } finally {
            await testLog.destroy();
          }
        },
      ),
      { numRuns: 40 },
    );
    assert.ok(starts > 40, 'some runs were killed');
  });
});
