import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import type { ClickHouseClient } from '@clickhouse/client';
import { sql } from 'kysely';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { type FamilyName, families } from '../domain/families.ts';
import { migrations } from '../migrations/migrations.ts';
import type { AnalyticsDatabase, AnalyticsSchema } from '../store.ts';
import { freshDatabase, sharedClickHouse } from '../testing/shared-clickhouse.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { compareLedger, deleteUnknownRows, insertAgain } from './reconcile.ts';

const [first, second] = families.map(({ name }) => name) as [FamilyName, FamilyName];
const fits = { unknown: [], incomplete: [], missing: [] };

/** The ids of one group, spread over its 17 minutes. */
function idsOf(group: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const start = `019a${group.toString(16).padStart(3, '0')}${(index % 16).toString(16)}`;
    const random = createHash('sha256').update(`${group}/${index}`).digest('hex');
    return `${start}-${random.slice(0, 4)}-7${random.slice(4, 7)}-8${random.slice(7, 10)}-${random.slice(10, 22)}`;
  });
}

describe('the comparison of ledger and manifests', function () {
  this.timeout(60_000);
  const client = sharedClickHouse();
  let db: AnalyticsDatabase;
  let ledger: Ledger;
  let answered: number;

  beforeEach(async () => {
    answered = 0;
    db = await openTestDatabase<AnalyticsSchema>('reconcile');
    await migrateToLatest(db, migrations);
    ledger = createLedger({ client, database: freshDatabase('reconcile'), statementsMax: 1 });
    await ledger.createTables();
  });

  afterEach(async () => {
    await client.command({ query: `DROP DATABASE ${ledger.statements.database}` });
  });

  async function know(
    manifestIds: readonly string[],
    family: FamilyName,
    rows: number,
    state = 'done',
  ): Promise<void> {
    await sql`insert into chunk_manifests
      select id, 1, ${state}, 0, 0, '' from unnest(${[...manifestIds]}::uuid[]) as id
      on conflict do nothing`.execute(db);
    await sql`insert into manifest_inserts
      select id, ${family}, 1, ${rows}, '', '' from unnest(${[...manifestIds]}::uuid[]) as id`.execute(
      db,
    );
  }

  async function store(
    manifestIds: readonly string[],
    family: FamilyName,
    rows: number,
  ): Promise<void> {
    const lines = manifestIds.flatMap((manifestId) =>
      Array.from(
        { length: rows },
        (_, hour) => `acme\t${1_746_057_600 + hour * 3600}\t1\t${manifestId}`,
      ),
    );
    const body = `tenant_id\thour\tprojection_version\tmanifest_id\n${lines.join('\n')}\n`;
    await ledger.statements.insert(family, Buffer.from(body));
  }

  /** Counts the rows that ClickHouse answers. */
  const counting = {
    query: async (request: { query: string; format: 'JSONEachRow' }) => {
      const result = await client.query(request);
      const json = async () => {
        const rows: unknown[] = await result.json();
        answered += rows.length;
        return rows;
      };
      return { json };
    },
  } as unknown as ClickHouseClient;

  async function compare(): ReturnType<typeof compareLedger> {
    return compareLedger(db, counting, ledger.statements.database);
  }

  it('lists no manifest where they fit, however many there are', async () => {
    // More than a page of them, and a group that lies on two pages.
    for (const group of [1, 2, 3]) {
      const manifestIds = idsOf(group, 9000);
      await know(manifestIds, first, 1);
      await store(manifestIds, first, 1);
    }
    assert.deepEqual(await compare(), fits);
    assert.ok(answered < 100, `ClickHouse answered ${answered} rows`);
  });

  it('finds in many groups what is unknown, what is incomplete, and what is missing', async () => {
    const groups = Array.from({ length: 60 }, (_, group) => idsOf(group, 4));
    const of = (place: number) => groups.map((group) => group[place] ?? '');
    await know(of(0), first, 2);
    await know(of(0), second, 1);
    await store(of(0), first, 2);
    await store(of(0), second, 1);
    const unknown = of(1).filter((_, index) => index % 7 === 0);
    const partly = of(2).filter((_, index) => index % 5 === 0);
    const missing = of(3).filter((_, index) => index % 3 === 0);
    await store(unknown, second, 1);
    await know(partly, first, 2);
    await know(partly, second, 2);
    await store(partly, first, 2);
    await know(missing, second, 3);
    const found = await compare();
    assert.deepEqual(found.unknown.toSorted(), unknown.toSorted());
    assert.deepEqual(found.incomplete.toSorted(), [...partly, ...missing].toSorted());
    assert.deepEqual(found.missing.toSorted(), missing.toSorted());
  });

  it('sees one manifest in the place of another of the same moment', async () => {
    const [known = '', stored = '', common = ''] = idsOf(1, 3);
    await know([known, common], first, 1);
    await store([stored, common], first, 1);
    assert.deepEqual(await compare(), { unknown: [stored], incomplete: [known], missing: [known] });
  });

  it('neither misses the rows of a pending manifest nor takes them for unknown', async () => {
    const [absent = '', present = '', half = ''] = idsOf(1, 3);
    await know([absent, present, half], first, 2, 'pending');
    await store([present], first, 2);
    await store([half], first, 1);
    assert.deepEqual(await compare(), fits);
  });

  it('takes every row for unknown where the database has no manifests', async () => {
    const manifestIds = idsOf(1, 3);
    await store(manifestIds, first, 1);
    const empty = await openTestDatabase<AnalyticsSchema>('reconcile-empty');
    const found = await compareLedger(empty, client, ledger.statements.database);
    assert.deepEqual(found.unknown.toSorted(), manifestIds.toSorted());
  });

  it('takes out rows of more unknown manifests than one request has room for', async () => {
    const [kept = '', ...unknown] = idsOf(1, 12_001);
    await know([kept], first, 1);
    await store([kept, ...unknown], first, 1);
    const requests: number[] = [];
    const watched = {
      query: async (request: { query: string; format: 'JSONEachRow' }) => client.query(request),
      command: async (request: { query: string }) => {
        requests.push(request.query.length);
        return client.command(request);
      },
    } as unknown as ClickHouseClient;
    assert.equal((await compare()).unknown.length, 12_000);
    await deleteUnknownRows(watched, ledger.statements.database, unknown);
    assert.deepEqual(await compare(), fits);
    assert.ok(Math.max(...requests) < 262_144, `${Math.max(...requests)} characters`);
  });

  it('takes no text for the id of a manifest', async () => {
    await store(idsOf(1, 1), first, 1);
    const text = "') OR ('1' = '1";
    await assert.rejects(deleteUnknownRows(client, ledger.statements.database, [text]), RangeError);
    assert.equal((await compare()).unknown.length, 1);
  });

  it('has an incomplete manifest inserted again', async () => {
    const [lost = '', there = ''] = idsOf(1, 2);
    await know([lost, there], first, 1);
    await store([there], first, 1);
    const { incomplete } = await compare();
    await insertAgain(db, incomplete);
    const { rows } = await sql<{ manifest_id: string }>`
      select manifest_id::text from chunk_manifests where state = 'pending'`.execute(db);
    assert.deepEqual(rows, [{ manifest_id: lost }]);
    assert.deepEqual(await compare(), fits);
  });

  it('compares nothing with a ledger that has no tables', async () => {
    assert.deepEqual(await compareLedger(db, client, `none_${randomUUID().slice(0, 8)}`), fits);
  });
});
