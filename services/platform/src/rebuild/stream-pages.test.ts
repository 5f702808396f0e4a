import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { createEventStoreTables, type EventStoreSchema } from '../event-store/tables.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { createFreshTables } from './fresh-tables.ts';
import { nextStreamPage } from './stream-pages.ts';

describe('the pages of streams that a rebuild folds', () => {
  let db: Kysely<EventStoreSchema>;

  beforeEach(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('rebuild_stream_pages');
    await createEventStoreTables(db);
    await createFreshTables(db, systemClock);
  });

  async function add(token: string, position: number, bytes: number): Promise<void> {
    const record = LogRecord.fromPartial({ clearPayload: Buffer.alloc(bytes) });
    await sql`insert into rebuild_streams (tenant_id, token, incarnation, partition, position, opened_at_ms, version)
      values ('acme', ${token}, 1, 0, ${position}, 0, 0)`.execute(db);
    await sql`insert into rebuild_records (tenant_id, stream_token, stream_incarnation, position, record)
      values ('acme', ${token}, 1, ${position}, ${Buffer.from(LogRecord.encode(record).finish())})`.execute(
      db,
    );
  }

  async function pages(): Promise<readonly (readonly string[])[]> {
    const all: string[][] = [];
    let page = await nextStreamPage(db, 'all', undefined);
    while (page.length > 0) {
      all.push(page.map(({ token }) => token.slice(0, 1)));
      page = await nextStreamPage(db, 'all', page.at(-1));
    }
    return all;
  }

  it('are bounded by bytes, and have one stream at least', async function () {
    this.timeout(60_000);
    const mebibyte = 1024 * 1024;
    const sizes = { a: 20, b: 7, c: 7, d: 7, e: 0 };
    for (const [letter, size] of Object.entries(sizes)) {
      await add(letter.repeat(32), 1, size * mebibyte);
    }
    assert.deepEqual(await pages(), [['a'], ['b', 'c'], ['d', 'e']]);
  });

  it('are bounded by records', async () => {
    await add('a'.repeat(32), 1_500, 10);
    await add('b'.repeat(32), 1_500, 10);
    await add('c'.repeat(32), 500, 10);
    assert.deepEqual(await pages(), [['a'], ['b', 'c']]);
  });
});
