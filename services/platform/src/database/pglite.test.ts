import assert from 'node:assert/strict';
import { type ColumnType, type Generated, type Kysely, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { openTestDatabase, openTestDatabases } from '../testing/test-database.ts';
import { DatabaseError } from './database-error.ts';
import type { PgliteDatabases } from './pglite.ts';

interface Notes {
  notes: {
    id: Generated<bigint>;
    body: Buffer | null;
    count: ColumnType<bigint, bigint | number, bigint>;
  };
}

async function createNotes(db: Kysely<Notes>): Promise<void> {
  await sql`create table notes (
    id int8 generated always as identity primary key, body bytea, count int8 not null unique)`.execute(
    db,
  );
}

const isReason =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof ServiceError && error.reason === reason;

describe('PGlite shared by services', function () {
  this.timeout(60_000);
  let databases: PgliteDatabases;
  let db: Kysely<Notes>;
  before(async () => {
    databases = await openTestDatabases();
    db = await openTestDatabase<Notes>('notes');
    await createNotes(db);
  });

  it('gives each handle its own schema, also when they alternate', async () => {
    const other = await openTestDatabase<Notes>('notes-of-another');
    await createNotes(other);
    await Promise.all(
      [1n, 2n, 3n].flatMap((count) => [
        db
          .insertInto('notes')
          .values({ count: count + 100n, body: null })
          .execute(),
        other
          .insertInto('notes')
          .values({ count: count + 200n, body: null })
          .execute(),
      ]),
    );
    const counts = await other.selectFrom('notes').select('count').orderBy('count').execute();
    assert.deepEqual(
      counts.map((row) => row.count),
      [201n, 202n, 203n],
    );
  });

  it('carries bytes as Buffer and int8 as bigint, in arrays too', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const past = 2n ** 60n + 1n;
    const row = await db
      .insertInto('notes')
      .values({ count: past, body })
      .returning(['count', 'body'])
      .executeTakeFirstOrThrow();
    assert.deepEqual(row, { count: past, body });
    const view = new Uint8Array(body.buffer, body.byteOffset + 3, 4);
    const { rows } = await sql<{ bytes: Buffer[]; numbers: bigint[] }>`
      select ${[view, Buffer.alloc(0)]}::bytea[] as bytes, ${[past, 0n]}::int8[] as numbers`.execute(
      db,
    );
    assert.deepEqual(rows, [
      { bytes: [Buffer.from([3, 4, 5, 6]), Buffer.alloc(0)], numbers: [past, 0n] },
    ]);
  });

  it('throws instead of deadlocking when a handle is used inside a transaction', async () => {
    const other = databases.database('test_never_reached');
    const misuses = [
      () => db.selectFrom('notes').selectAll().execute(),
      () => db.transaction().execute(async () => {}),
      () => sql`select 1`.execute(other),
    ];
    for (const misuse of misuses) {
      await assert.rejects(
        db.transaction().execute(async (tx) => {
          await tx.insertInto('notes').values({ count: 7n, body: null }).execute();
          await misuse();
        }),
        isReason('NESTED_TRANSACTION'),
      );
    }
    const left = await db.selectFrom('notes').select('id').where('count', '=', 7n).execute();
    assert.deepEqual(left, [], 'what the transaction had written is rolled back');
  });

  it('lets work that was started in a transaction use the handle after its end', async () => {
    const gate = Promise.withResolvers<undefined>();
    const later: Promise<unknown>[] = [];
    await db.transaction().execute(async () => {
      later.push(gate.promise.then(() => db.selectFrom('notes').select('id').execute()));
    });
    gate.resolve(undefined);
    await Promise.all(later);
  });

  it('takes turns in the order of asking and never mixes two transactions', async () => {
    const order: string[] = [];
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        db.transaction().execute(async (tx) => {
          order.push(`${name} begins`);
          await sql`select 1`.execute(tx);
          await sql`select 2`.execute(tx);
          order.push(`${name} ends`);
        }),
      ),
    );
    assert.deepEqual(
      order,
      ['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });

  it('lets timers and sockets run between transactions of a busy loop', async () => {
    const beat = { turns: 0, stopped: false };
    const tick = (): void => {
      beat.turns += 1;
      if (!beat.stopped) setImmediate(tick);
    };
    setImmediate(tick);
    for (let round = 0; round < 20; round += 1) await sql`select 1`.execute(db);
    beat.stopped = true;
    assert.ok(beat.turns >= 19, `the event loop turned ${beat.turns} times during 20 statements`);
  });

  it('reports a commit that PostgreSQL turned into a rollback', async () => {
    await assert.rejects(
      db.transaction().execute(async (tx) => {
        await tx.insertInto('notes').values({ count: 8n, body: null }).execute();
        await sql`select 1 / 0`.execute(tx).catch(() => {});
      }),
      { name: 'AbortedTransactionError' },
    );
    const left = await db.selectFrom('notes').select('id').where('count', '=', 8n).execute();
    assert.deepEqual(left, []);
  });

  it('keeps the values of a failed statement out of its error', async () => {
    await db.insertInto('notes').values({ count: 77_001n, body: null }).execute();
    const failures = [
      db
        .insertInto('notes')
        .values({ count: 77_001n, body: Buffer.from('77_001') })
        .execute(),
      sql`select ${'77_001 in words'}::text::int4`.execute(db),
    ];
    for (const failure of failures) {
      const error: unknown = await failure.then(
        () => assert.fail('the statement should fail'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof DatabaseError);
      const everything = `${error.stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`;
      assert.doesNotMatch(everything, /77_?001/);
    }
    const [unique] = await Promise.allSettled([failures[0]]);
    assert.ok(unique?.status === 'rejected' && unique.reason instanceof DatabaseError);
    assert.equal(unique.reason.sqlState, '23505');
    assert.equal(unique.reason.constraint, 'notes_count_key');
  });
});
