import type { ClickHouseClient } from '@clickhouse/client';
import { sql } from 'kysely';
import { z } from 'zod';
import { families } from '../domain/families.ts';
import type { AnalyticsDatabase } from '../store.ts';

/** Where ledger and manifests do not fit each other. */
export interface LedgerMismatch {
  /** Manifests with rows in the ledger that the database does not know: it lost their commits. */
  readonly unknown: readonly string[];
  /** Manifests that are done and whose rows are not all in the ledger: it lost them, or part of them. */
  readonly incomplete: readonly string[];
  /** Those of them of which it has nothing at all. */
  readonly missing: readonly string[];
}

const rowSchema = z.object({ manifest_id: z.string(), row_count: z.string() });

/**
 * Compares what lies in the ledger with the manifests, which say what must. Nobody may write to either meanwhile.
 * `database` is a name of ours.
 */
export async function compareLedger(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
  database: string,
): Promise<LedgerMismatch> {
  const stored = await rowsByManifest(client, database);
  if (!(await hasManifests(db)))
    return { unknown: [...stored.keys()], incomplete: [], missing: [] };
  const { rows } = await sql<{ manifest_id: string; state: string; row_count: bigint | null }>`
    select manifests.manifest_id::text as manifest_id, state, sum(row_count)::int8 as row_count
    from chunk_manifests as manifests left join manifest_inserts using (manifest_id)
    group by manifests.manifest_id, state`.execute(db);
  const known = new Set(rows.map((row) => row.manifest_id));
  const incomplete = rows.filter(
    ({ manifest_id, state, row_count }) =>
      state === 'done' && (stored.get(manifest_id) ?? 0) < Number(row_count ?? 0n),
  );
  return {
    unknown: [...stored.keys()].filter((manifestId) => !known.has(manifestId)),
    incomplete: incomplete.map((row) => row.manifest_id),
    missing: incomplete.map((row) => row.manifest_id).filter((id) => !stored.has(id)),
  };
}

async function hasManifests(db: AnalyticsDatabase): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select to_regclass('chunk_manifests') is not null as present`.execute(db);
  return rows[0]?.present === true;
}

async function rowsByManifest(
  client: ClickHouseClient,
  database: string,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const table of await tablesOf(client, database)) {
    const query = `SELECT toString(manifest_id) AS manifest_id, toString(count()) AS row_count
      FROM ${database}.${table} FINAL GROUP BY manifest_id`;
    const result = await client.query({ query, format: 'JSONEachRow' });
    for (const row of z.array(rowSchema).parse(await result.json())) {
      const before = counts.get(row.manifest_id) ?? 0;
      counts.set(row.manifest_id, before + Number(row.row_count));
    }
  }
  return counts;
}

async function tablesOf(client: ClickHouseClient, database: string): Promise<readonly string[]> {
  const query = `SELECT name FROM system.tables WHERE database = {database:String}`;
  const query_params = { database };
  const result = await client.query({ query, query_params, format: 'JSONEachRow' });
  const names = new Set(
    z
      .array(z.object({ name: z.string() }))
      .parse(await result.json())
      .map(({ name }) => name),
  );
  return families.map(({ name }) => name).filter((name) => names.has(name));
}

/**
 * Takes rows of unknown manifests out of the ledger: their events are folded again, under another manifest, because the
 * checkpoint was lost with the manifest. If the process dies in it, the rest is found at the next comparison.
 */
export async function deleteUnknownRows(
  client: ClickHouseClient,
  database: string,
  unknown: readonly string[],
): Promise<void> {
  for (const table of await tablesOf(client, database)) {
    await client.command({
      query: `DELETE FROM ${database}.${table}
        WHERE has({unknown:Array(String)}, toString(manifest_id))`,
      query_params: { unknown: [...unknown] },
      clickhouse_settings: { lightweight_deletes_sync: '2' },
    });
  }
}

/** These manifests' rows are inserted again at the next start, byte for byte; a row that is there replaces itself. */
export async function insertAgain(
  db: AnalyticsDatabase,
  manifestIds: readonly string[] | 'all',
): Promise<void> {
  if (!(await hasManifests(db))) return;
  const chosen =
    manifestIds === 'all' ? sql`true` : sql`manifest_id = any(${[...manifestIds]}::uuid[])`;
  await sql`update chunk_manifests set state = 'pending' where ${chosen} and exists (
    select 1 from manifest_inserts where manifest_inserts.manifest_id = chunk_manifests.manifest_id)`.execute(
    db,
  );
}
