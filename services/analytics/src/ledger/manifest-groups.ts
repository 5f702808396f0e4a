import type { ClickHouseClient } from '@clickhouse/client';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import type { AnalyticsSchema } from '../store.ts';

/**
 * Manifests whose ids begin alike, by the digits with which they do: as ids begin with their moment, those of some 17
 * minutes. There is one manifest a chunk, several a second under load, for ever: group by group they are compared without
 * being listed.
 */
export type ManifestGroup = string;

const groupDigits = 7;

/** Of the manifests of one group that have rows in one table: two lists of them whose sums are the same are the same. */
interface Summary {
  manifests: bigint;
  rows: bigint;
  /** Sum of the last 12 digits of the ids, which are random. */
  checksum: bigint;
}

/** By table and group. */
type Summaries = ReadonlyMap<string, Summary>;

/** The groups in which manifests and ledger may not fit each other; in the others they do. Ascending. */
export async function groupsToLookAt(
  db: Kysely<AnalyticsSchema> | undefined,
  client: ClickHouseClient,
  database: string,
  tables: readonly string[],
): Promise<readonly ManifestGroup[]> {
  const stored = new Map<string, Summary>();
  for (const table of tables) await addStored(stored, client, database, table);
  const known: Summaries = db === undefined ? new Map() : await knownSummaries(db);
  const names = new Set([...stored.keys(), ...known.keys()]);
  const differing = [...names].filter((name) => !isSame(stored.get(name), known.get(name)));
  return [...new Set(differing.map((name) => name.slice(-groupDigits)))].toSorted();
}

function isSame(left: Summary | undefined, right: Summary | undefined): boolean {
  return (
    left?.manifests === right?.manifests &&
    left?.rows === right?.rows &&
    left?.checksum === right?.checksum
  );
}

function add(to: Map<string, Summary>, name: string, { manifests, rows, checksum }: Summary): void {
  const before = to.get(name) ?? { manifests: 0n, rows: 0n, checksum: 0n };
  to.set(name, {
    manifests: before.manifests + manifests,
    rows: before.rows + rows,
    checksum: before.checksum + checksum,
  });
}

const storedSchema = z.object({
  digits: z.string().length(groupDigits),
  manifests: z.coerce.bigint(),
  row_count: z.coerce.bigint(),
  checksum: z.coerce.bigint(),
});

async function addStored(
  to: Map<string, Summary>,
  client: ClickHouseClient,
  database: string,
  table: string,
): Promise<void> {
  const query = `SELECT ${groupOf} AS digits, toString(count()) AS manifests,
      toString(sum(of_manifest)) AS row_count,
      toString(sum(reinterpretAsUInt64(reverse(unhex(substring(toString(manifest_id), 25)))))) AS checksum
    FROM (SELECT manifest_id, count() AS of_manifest FROM ${database}.${table} FINAL GROUP BY manifest_id)
    GROUP BY digits`;
  const result = await client.query({ query, format: 'JSONEachRow' });
  for (const row of z.array(storedSchema).parse(await result.json())) {
    add(to, `${table} ${row.digits}`, { ...row, rows: row.row_count });
  }
}

/** In ClickHouse's words. */
const groupOf = `substring(toString(manifest_id), 1, ${groupDigits})`;

const rowSchema = z.object({ manifest_id: z.string(), row_count: z.coerce.number() });

/** How many rows each manifest of these groups has in a table. */
export async function storedRows(
  client: ClickHouseClient,
  database: string,
  table: string,
  groups: readonly ManifestGroup[],
): Promise<z.output<typeof rowSchema>[]> {
  const query = `SELECT toString(manifest_id) AS manifest_id, toString(count()) AS row_count
    FROM ${database}.${table} FINAL WHERE ${groupOf} IN {groups:Array(String)} GROUP BY manifest_id`;
  const query_params = { groups: [...groups] };
  const result = await client.query({ query, query_params, format: 'JSONEachRow' });
  return z.array(rowSchema).parse(await result.json());
}

const manifestsPerPage = 20_000;

interface KnownRow {
  readonly last: string;
  readonly digits: string;
  readonly family: string | null;
  readonly manifests: bigint;
  readonly row_count: bigint;
  readonly checksum: string;
}

/** In pages, as a statement over all of them would take too long some day. */
async function knownSummaries(db: Kysely<AnalyticsSchema>): Promise<Summaries> {
  const summaries = new Map<string, Summary>();
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await sql<KnownRow>`
      with page as (
        select manifest_id from chunk_manifests where manifest_id > ${after}::uuid
        order by manifest_id limit ${manifestsPerPage}),
      of_family as (
        select manifest_id, family, sum(row_count) as rows
        from page left join manifest_inserts using (manifest_id) group by manifest_id, family)
      select (select manifest_id::text from page order by manifest_id desc limit 1) as last,
        left(manifest_id::text, ${groupDigits}) as digits, family, count(*) as manifests,
        coalesce(sum(rows), 0)::int8 as row_count,
        sum(('x' || right(manifest_id::text, 12))::bit(48)::int8)::text as checksum
      from of_family group by digits, family`.execute(db);
    for (const { digits, family, row_count: count, ...row } of rows) {
      const sums = { manifests: row.manifests, rows: count, checksum: BigInt(row.checksum) };
      if (family !== null) add(summaries, `${family} ${digits}`, sums);
    }
    const last = rows[0]?.last;
    if (last === undefined) return summaries;
    after = last;
  }
}

/** A manifest, and how many rows it has for the ledger. */
export interface KnownManifest {
  readonly manifestId: string;
  readonly isDone: boolean;
  readonly rows: number;
}

/** The manifests of these groups. */
export async function knownManifests(
  db: Kysely<AnalyticsSchema>,
  groups: readonly ManifestGroup[],
): Promise<readonly KnownManifest[]> {
  const { rows } = await sql<{ manifest_id: string; is_done: boolean; row_count: bigint }>`
    select manifest_id::text as manifest_id, state = 'done' as is_done,
      coalesce(sum(row_count), 0)::int8 as row_count
    from unnest(${groups.map((group) => `${group}0-0000-0000-0000-000000000000`)}::uuid[],
      ${groups.map((group) => `${group}f-ffff-ffff-ffff-ffffffffffff`)}::uuid[]) as span(first, last)
    join chunk_manifests on manifest_id between span.first and span.last
    left join manifest_inserts using (manifest_id)
    group by manifest_id, state`.execute(db);
  return rows.map((row) => ({
    manifestId: row.manifest_id,
    isDone: row.is_done,
    rows: Number(row.row_count),
  }));
}
