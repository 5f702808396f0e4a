import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventIdFromBytes, type TenantId } from '../ids/ids.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { createMemoryKeys, type MemoryKeys } from '../testing/memory-keys.ts';
import { noteFamily, type NoteItem, noteItem, openItem } from '../testing/note-family.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { createEventStore, type EventStore } from './append.ts';
import type { LoggedRecord } from './apply-parts.ts';
import { applyRecords } from './apply-records.ts';
import { openAll } from './open-records.ts';
import { streamOfRow } from './streams.ts';
import { createEventStoreTables, type EventStoreSchema } from './tables.ts';

const acme = 'acme' as TenantId;
const atMs = Date.UTC(2026, 2, 2, 9);

type Db = Kysely<
  EventStoreSchema & { outbox: { row_id: bigint; event_id: Buffer; value: Buffer } }
>;

describe('records of a log that is ahead of its table', () => {
  /** The database that lost its commits, and one that has them all. */
  let [lost, whole]: Db[] = [];
  let keys: MemoryKeys;

  before(async function () {
    this.timeout(60_000);
    for (const name of ['apply_lost', 'apply_whole']) {
      const db: Db = await openTestDatabase(name);
      await createEventStoreTables(db);
      await createOutboxTables(db);
      if (name === 'apply_lost') lost = db;
      else whole = db;
    }
  });
  beforeEach(async () => {
    keys = createMemoryKeys();
    for (const db of [lostDb(), wholeDb()]) {
      for (const table of ['streams', 'event_index', 'records', 'person_boxes'] as const) {
        await db.deleteFrom(table).execute();
      }
      await sql`delete from outbox`.execute(db);
    }
  });

  const lostDb = () => lost ?? assert.fail();
  const wholeDb = () => whole ?? assert.fail();
  const ports = () => ({ family: noteFamily, db: lostDb(), keys, randomBytes });
  const storeOf = (db: Db): EventStore<NoteItem['command']> =>
    createEventStore(noteFamily, {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    });

  async function items(from: number, to: number) {
    const tokens = await keys.tokens(acme);
    const all = [
      openItem(tokens, 'u-1', { ticket: 'T-1', source: 'T-1/0', occurredAtMs: atMs }),
      ...Array.from({ length: 9 }, (_, index) =>
        noteItem(tokens, index % 2 === 0 ? 'a-1' : 'u-1', {
          ticket: 'T-1',
          source: `n${index}`,
          occurredAtMs: atMs + index,
        }),
      ),
    ];
    return all.slice(from, to);
  }

  /** What a relay would have put on the log. */
  async function published(db: Db): Promise<LoggedRecord[]> {
    const { rows } = await sql<{ partition: number; event_id: Buffer; value: Buffer }>`
      select partition, event_id, value from outbox order by row_id`.execute(db);
    return rows.map(({ partition, event_id: key, value }, index) => ({
      partition,
      sequence: BigInt(index + 1),
      recordId: eventIdFromBytes(key),
      record: LogRecord.decode(value),
      value,
    }));
  }

  async function contents(db: Db) {
    const streams = await db.selectFrom('streams').selectAll().execute();
    const rows = streams.map(streamOfRow);
    const { states } = await openAll(keys, acme, {
      records: [],
      wants: () => false,
      states: rows.map((stream) => ({ stream, scope: { kind: 'ticket', token: stream.token } })),
      codec: noteFamily.stateCodec ?? assert.fail(),
    });
    const index = await db
      .selectFrom('event_index')
      .select([
        'record_id',
        'event_id',
        'stream_token',
        'stream_incarnation',
        'position',
        'partition',
      ])
      .orderBy('record_id')
      .execute();
    const records = await db.selectFrom('records').selectAll().orderBy('position').execute();
    const boxes = await db.selectFrom('person_boxes').selectAll().orderBy('person_token').execute();
    const positions = rows.map(({ token, position, openedAtMs }) => ({
      token,
      position,
      openedAtMs,
    }));
    return { positions, states, index, records, boxes };
  }

  it('make the tables that the lost commits had made, page by page', async () => {
    await storeOf(wholeDb()).append(acme, await items(0, 10));
    const log = await published(wholeDb());
    assert.equal(log.length, 13, 'ten events and three milestones');
    for (let from = 0; from < log.length; from += 4) {
      const page = log.slice(from, from + 4);
      const answer = await applyRecords(ports(), page);
      assert.deepEqual(answer, { applied: page.length, numbered: 0, unreadable: [] });
    }
    assert.deepEqual(await contents(lostDb()), await contents(wholeDb()));
  });

  it('are applied once, however often', async () => {
    await storeOf(wholeDb()).append(acme, await items(0, 10));
    const log = await published(wholeDb());
    await applyRecords(ports(), log);
    const again = await applyRecords(ports(), log);
    assert.deepEqual(again, { applied: 0, numbered: 13, unreadable: [] });
    assert.deepEqual(await contents(lostDb()), await contents(wholeDb()));
  });

  it('number what was committed and not known to be published, and take it out of the outbox', async () => {
    await storeOf(lostDb()).append(acme, await items(0, 3));
    const log = await published(lostDb());
    const answer = await applyRecords(ports(), log.slice(0, 2));
    assert.deepEqual(answer, { applied: 0, numbered: 2, unreadable: [] });
    const sequences = await lostDb().selectFrom('event_index').select('sequence').execute();
    const known = sequences.map(({ sequence }) => sequence).filter((sequence) => sequence !== null);
    assert.deepEqual(new Set(known), new Set([1n, 2n]));
    assert.equal((await published(lostDb())).length, log.length - 2);
  });

  it('let the stream go on, and are duplicates when they come again', async () => {
    await storeOf(wholeDb()).append(acme, await items(0, 5));
    await applyRecords(ports(), await published(wholeDb()));
    const answers = await storeOf(lostDb()).append(acme, await items(0, 6));
    const expected = [...Array.from({ length: 5 }, () => 'duplicate'), 'accepted'];
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      expected,
    );
  });

  it('whose keys are lost are told, and leave nothing', async () => {
    await storeOf(wholeDb()).append(acme, await items(0, 2));
    const log = await published(wholeDb());
    // The key store went back to before they were made.
    keys = createMemoryKeys();
    const { applied, unreadable } = await applyRecords(ports(), log);
    assert.equal(applied, 0);
    assert.deepEqual(unreadable, log);
    const left = await contents(lostDb());
    assert.deepEqual(left, { positions: [], states: [], index: [], records: [], boxes: [] });
  });
});
