import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Kysely, sql } from 'kysely';
import { openTestDatabase } from '../testing/test-database.ts';
import { erasedWithin, mergeRuns, recordErased, type SequenceRun } from './erased-ranges.ts';
import { createOutboxTables } from './tables.ts';

const topic = 'things.v1';

function sequencesOf(runs: readonly SequenceRun[]): bigint[] {
  return runs.flatMap(({ first, last }) =>
    Array.from({ length: Number(last - first + 1n) }, (_, index) => first + BigInt(index)),
  );
}

describe('erased ranges', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  before(async () => {
    db = await openTestDatabase('erased-ranges');
    await createOutboxTables(db);
  });
  const erase = (partition: number, sequences: readonly bigint[]): Promise<void> =>
    db.transaction().execute((tx) => recordErased(tx, topic, partition, sequences));

  it('law: answer exactly what was recorded, in ranges that do not touch', async () => {
    const batch = fc.array(fc.bigInt({ min: 1n, max: 40n }), { maxLength: 12 });
    const runs = { count: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 6 }), async (batches) => {
        runs.count += 1;
        const partition = runs.count;
        for (const sequences of batches) await erase(partition, sequences);
        const expected = [...new Set(batches.flat())].toSorted((a, b) => (a < b ? -1 : 1));
        const stored = await erasedWithin(db, topic, partition, { first: 1n, last: 100n });
        assert.deepEqual(sequencesOf(stored), expected);
        assert.deepEqual(stored, mergeRuns(stored), 'ranges neither overlap nor touch');
      }),
      { numRuns: 60 },
    );
  });

  it('clips to the question and knows one partition from another', async () => {
    await erase(1_000, [5n, 6n, 7n, 20n]);
    await erase(1_001, [1n]);
    const within = (first: bigint, last: bigint): Promise<SequenceRun[]> =>
      erasedWithin(db, topic, 1_000, { first, last });
    assert.deepEqual(await within(6n, 20n), [
      { first: 6n, last: 7n },
      { first: 20n, last: 20n },
    ]);
    assert.deepEqual(await within(6n, 6n), [{ first: 6n, last: 6n }]);
    assert.deepEqual(await within(8n, 19n), []);
  });

  it('is undone with the transaction that erases', async () => {
    const failing = db.transaction().execute(async (tx) => {
      await recordErased(tx, topic, 2_000, [1n, 2n]);
      throw new Error('the erasure fails');
    });
    await assert.rejects(failing, /the erasure fails/);
    assert.deepEqual(await erasedWithin(db, topic, 2_000, { first: 1n, last: 9n }), []);
  });

  it('holds the lock of the partition while it merges', async () => {
    await db.transaction().execute(async (tx) => {
      await recordErased(tx, topic, 3_000, [1n]);
      const { rows } = await sql<{ locked: boolean }>`
        select xmax <> 0 as locked from partition_counters where partition = 3000`.execute(tx);
      assert.deepEqual(rows, [{ locked: true }]);
    });
  });
});
