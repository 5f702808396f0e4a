import { z } from 'zod';
import { families, type MetricFamily } from '../domain/families.ts';
import { columnsOf } from '../domain/fold.ts';
import type { LedgerStatements } from '../ledger/ledger.ts';
import { freshOf } from './fresh-ledger.ts';

/** A ledger row that is not the same in both tables, by its key. */
export interface LedgerDifference {
  readonly table: string;
  readonly row: string;
  readonly kind: 'differs' | 'missing in the live table' | 'not on the log';
  readonly columns: readonly string[];
}

export interface ComparedFamily {
  readonly name: string;
  readonly live: number;
  readonly fresh: number;
  readonly differing: number;
  /** At most `listedMax`. */
  readonly first: readonly LedgerDifference[];
}

const listedMax = 100;
const manifestsPerQuery = 500;

const digestsSchema = z.array(
  z.object({ manifest_id: z.string(), live: z.string(), fresh: z.string() }),
);
const countsSchema = z.array(z.object({ live: z.string(), fresh: z.string() }));

/**
 * Compares the rows of each family: first a digest over all columns of each chunk's rows, then, where these differ, row
 * by row. Chunks that came after those in `isHeld` are left out.
 */
export async function compareLedger(
  statements: LedgerStatements,
  heldOf: (manifestIds: readonly string[]) => Promise<ReadonlySet<string>>,
  onFamily: (rows: number) => void,
): Promise<readonly ComparedFamily[]> {
  const compared: ComparedFamily[] = [];
  for (const family of families) {
    const candidates = await differingManifests(statements, family);
    const held = await heldOf(candidates);
    const manifests = candidates.filter((manifestId) => held.has(manifestId));
    const counts = await countRows(
      statements,
      family,
      candidates.filter((id) => !held.has(id)),
    );
    let differing = 0;
    const first: LedgerDifference[] = [];
    for (let from = 0; from < manifests.length; from += manifestsPerQuery) {
      const ids = manifests.slice(from, from + manifestsPerQuery);
      const page = await differingRows(statements, family, ids, listedMax - first.length);
      differing += page.differing;
      first.push(...page.first);
    }
    compared.push({ name: family.name, ...counts, differing, first });
    onFamily(Math.max(counts.live, counts.fresh));
  }
  return compared;
}

/** Every column; the rows of a chunk in any order. */
async function differingManifests(
  statements: LedgerStatements,
  family: MetricFamily,
): Promise<readonly string[]> {
  const { database } = statements;
  const digest = (table: string) =>
    `SELECT manifest_id, concat(toString(count()), '/', toString(groupBitXor(sipHash64(*))),
       '/', toString(sum(sipHash64(*) % 1000003))) AS digest
     FROM ${database}.${table} FINAL GROUP BY manifest_id`;
  const found = await statements.rows(
    `SELECT toString(manifest_id) AS manifest_id, live.digest AS live, fresh.digest AS fresh
     FROM (${digest(family.name)}) AS live FULL JOIN (${digest(freshOf(family.name))}) AS fresh
       USING (manifest_id)
     WHERE live.digest != fresh.digest ORDER BY manifest_id`,
  );
  return digestsSchema.parse(found).map((row) => row.manifest_id);
}

async function countRows(
  statements: LedgerStatements,
  { name }: MetricFamily,
  without: readonly string[],
): Promise<{ readonly live: number; readonly fresh: number }> {
  const { database } = statements;
  const count = (table: string) =>
    `(SELECT toString(count()) FROM ${database}.${table} FINAL
      WHERE manifest_id NOT IN {without:Array(UUID)})`;
  const found = await statements.rows(
    `SELECT ${count(name)} AS live, ${count(freshOf(name))} AS fresh`,
    {
      without,
    },
  );
  const [row] = countsSchema.parse(found);
  return { live: Number(row?.live ?? 0), fresh: Number(row?.fresh ?? 0) };
}

const rowsSchema = z.array(
  z.object({
    row: z.string(),
    in_live: z.number(),
    in_fresh: z.number(),
    columns: z.array(z.string()),
    total: z.string(),
  }),
);

async function differingRows(
  statements: LedgerStatements,
  family: MetricFamily,
  manifestIds: readonly string[],
  limit: number,
): Promise<{ readonly differing: number; readonly first: readonly LedgerDifference[] }> {
  const { database } = statements;
  const rowKey = ['tenant_id', 'hour', ...family.dimensions, 'projection_version', 'manifest_id'];
  const measures = columnsOf(family);
  const side = (table: string, isLive: 0 | 1) =>
    `SELECT *, ${isLive} AS is_live FROM ${database}.${table} FINAL
     WHERE manifest_id IN {ids:Array(UUID)}`;
  const differs = measures.map(
    (name) => `if(anyIf(${name}, is_live = 1) != anyIf(${name}, is_live = 0), '${name}', '')`,
  );
  const found = await statements.rows(
    `SELECT concatWithSeparator('/', ${rowKey.map((name) => `toString(${name})`).join(', ')}) AS row,
       max(is_live) AS in_live, 1 - min(is_live) AS in_fresh,
       arrayFilter(name -> name != '', [${differs.join(', ')}]) AS columns,
       toString(count() OVER ()) AS total
     FROM (${side(family.name, 1)} UNION ALL ${side(freshOf(family.name), 0)})
     GROUP BY ${rowKey.join(', ')}
     HAVING count() != 2 OR notEmpty(columns)
     ORDER BY row LIMIT {limit:UInt32}`,
    { ids: manifestIds, limit: Math.max(1, limit) },
  );
  const parsed = rowsSchema.parse(found);
  const first = parsed.slice(0, limit).map((row): LedgerDifference => {
    if (row.in_live === 0) {
      return { table: family.name, row: row.row, kind: 'missing in the live table', columns: [] };
    }
    if (row.in_fresh === 0) {
      return { table: family.name, row: row.row, kind: 'not on the log', columns: [] };
    }
    return { table: family.name, row: row.row, kind: 'differs', columns: row.columns };
  });
  return { differing: Number(parsed[0]?.total ?? 0), first };
}
