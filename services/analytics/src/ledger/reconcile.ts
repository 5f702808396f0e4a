import type { ClickHouseClient } from '@clickhouse/client';
import { sql } from 'kysely';
import { z } from 'zod';
import { families } from '../domain/families.ts';
import type { AnalyticsDatabase } from '../store.ts';
import { groupsToLookAt, knownManifests, storedRows } from './manifest-groups.ts';

/** Where ledger and manifests do not fit each other. */
export interface LedgerMismatch {
  /** Manifests with rows in the ledger that the database does not know: it lost their commits. */
  readonly unknown: readonly string[];
  /** Manifests that are done and whose rows are not all in the ledger: it lost them, or part of them. */
  readonly incomplete: readonly string[];
  /** Those of them of which it has nothing at all. */
  readonly missing: readonly string[];
}

const groupsPerLook = 20;

/**
 * Compares what lies in the ledger with the manifests, which say what must. Nobody may write to either meanwhile. Memory goes
 * by groups of manifests and by what differs, not by manifests. `database` is a name of ours.
 */
export async function compareLedger(
  db: AnalyticsDatabase,
  client: ClickHouseClient,
  database: string,
): Promise<LedgerMismatch> {
  const tables = await tablesOf(client, database);
  const manifests = (await hasManifests(db)) ? db : undefined;
  const groups = await groupsToLookAt(manifests, client, database, tables);
  const found = { unknown: new Array<string>(), incomplete: new Array<string>() };
  const missing: string[] = [];
  for (let from = 0; from < groups.length; from += groupsPerLook) {
    const look = groups.slice(from, from + groupsPerLook);
    const stored = new Map<string, number>();
    for (const table of tables) {
      for (const row of await storedRows(client, database, table, look)) {
        stored.set(row.manifest_id, (stored.get(row.manifest_id) ?? 0) + row.row_count);
      }
    }
    const known = manifests === undefined ? [] : await knownManifests(manifests, look);
    const ids = new Set(known.map(({ manifestId }) => manifestId));
    found.unknown.push(...[...stored.keys()].filter((manifestId) => !ids.has(manifestId)));
    for (const { manifestId, isDone, rows } of known) {
      if (!isDone || (stored.get(manifestId) ?? 0) >= rows) continue;
      found.incomplete.push(manifestId);
      if (!stored.has(manifestId)) missing.push(manifestId);
    }
  }
  return { ...found, missing };
}

async function hasManifests(db: AnalyticsDatabase): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select to_regclass('chunk_manifests') is not null as present`.execute(db);
  return rows[0]?.present === true;
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
 * They stand in the statement, of which a server parses 256 KiB (max_query_size): as parameters they would travel in the
 * address of the request, of which a proxy in front of it may take as little as 8 KiB.
 */
const deletedAtOnce = 5_000;

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
    for (let from = 0; from < unknown.length; from += deletedAtOnce) {
      const ids = unknown.slice(from, from + deletedAtOnce).map(uuidLiteral);
      await client.command({
        query: `DELETE FROM ${database}.${table} WHERE toString(manifest_id) IN (${ids.join(',')})`,
        clickhouse_settings: { lightweight_deletes_sync: '2' },
      });
    }
  }
}

/** Throws a RangeError for any other text: it is part of a statement. */
function uuidLiteral(id: string): string {
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new RangeError('a manifest id is no UUID');
  return `'${id}'`;
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
