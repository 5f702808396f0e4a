import { type Kysely, sql, type Transaction } from 'kysely';
import {
  type DerivedTable,
  derivedTables,
  freshOf,
  keyList,
  sameKey,
  suspectsOf,
} from './derived-tables.ts';

/** How many rows of a table there are, live and rebuilt. */
export interface TableCounts {
  readonly name: string;
  readonly live: number;
  readonly fresh: number;
}

/** A row that differs, by its ids alone. */
export interface RowDifference {
  readonly table: string;
  readonly row: string;
  readonly kind: 'differs' | 'missing in the live table' | 'not on the log';
  readonly columns: readonly string[];
}

export interface Differences {
  readonly byTable: ReadonlyMap<string, number>;
  readonly total: number;
  /** At most `listedMax`. */
  readonly first: readonly RowDifference[];
}

const rowsPerPage = 5_000;
const listedMax = 100;

/**
 * Compares live and fresh rows, column by column, in pages by key; the keys of rows that are not the same are noted as
 * suspects. The database compares: no row leaves it, and no more than a page is in its memory. Rows that change in the
 * meantime are suspects that `readDifferences` clears.
 */
export async function compareTables<Schema>(
  db: Kysely<Schema>,
  onPage: (rows: number) => Promise<void>,
): Promise<readonly TableCounts[]> {
  const counts: TableCounts[] = [];
  for (const table of derivedTables) {
    let live = 0;
    let fresh = 0;
    let after: readonly unknown[] | undefined;
    do {
      const upTo = await lastKeyOfPage(db, table, after);
      const page = await comparePage(db, table, after, upTo);
      live += page.live;
      fresh += page.fresh;
      await onPage(Math.max(page.live, page.fresh));
      after = upTo;
    } while (after !== undefined);
    counts.push({ name: table.name, live, fresh });
  }
  return counts;
}

async function lastKeyOfPage<Schema>(
  db: Kysely<Schema>,
  table: DerivedTable,
  after: readonly unknown[] | undefined,
): Promise<readonly unknown[] | undefined> {
  const { rows } = await sql<Record<string, unknown>>`
    select ${sql.raw(keyList(table))} from ${sql.table(table.name)}
    where ${beyond(table, after)} order by ${sql.raw(keyList(table))}
    offset ${rowsPerPage - 1} limit 1`.execute(db);
  const [row] = rows;
  return row === undefined ? undefined : table.keyColumns.map(({ name }) => row[name]);
}

function beyond(table: DerivedTable, after: readonly unknown[] | undefined) {
  return after === undefined ? sql`true` : sql`${keyRow(table)} > ${valueRow(table, after)}`;
}

function upToKey(table: DerivedTable, upTo: readonly unknown[] | undefined) {
  return upTo === undefined ? sql`true` : sql`${keyRow(table)} <= ${valueRow(table, upTo)}`;
}

function keyRow(table: DerivedTable) {
  return sql.raw(`(${keyList(table)})`);
}

function valueRow(table: DerivedTable, values: readonly unknown[]) {
  const typed = table.keyColumns.map(({ type }, place) => sql`${values[place]}::${sql.raw(type)}`);
  return sql`(${sql.join(typed)})`;
}

async function comparePage<Schema>(
  db: Kysely<Schema>,
  table: DerivedTable,
  after: readonly unknown[] | undefined,
  upTo: readonly unknown[] | undefined,
): Promise<{ readonly live: number; readonly fresh: number }> {
  const within = sql`where ${beyond(table, after)} and ${upToKey(table, upTo)}`;
  const { rows } = await sql<{ live: bigint; fresh: bigint }>`
    with paired as (
      select ${sql.raw(keysOfEither(table))}, live is distinct from fresh as differs,
        ${sql.raw(`live.${firstKey(table)}`)} is not null as in_live,
        ${sql.raw(`fresh.${firstKey(table)}`)} is not null as in_fresh
      from (select * from ${sql.table(table.name)} ${within}) as live
      full join (select * from ${sql.table(freshOf(table))} ${within}) as fresh
        on ${sql.raw(sameKey(table, 'live', 'fresh'))}),
    noted as (
      insert into ${sql.table(suspectsOf(table))}
      select ${sql.raw(keyList(table))} from paired where differs)
    select count(*) filter (where in_live) as live, count(*) filter (where in_fresh) as fresh
    from paired`.execute(db);
  return { live: Number(rows[0]?.live ?? 0n), fresh: Number(rows[0]?.fresh ?? 0n) };
}

function firstKey(table: DerivedTable): string {
  return table.keyColumns[0]?.name ?? '';
}

function keysOfEither(table: DerivedTable): string {
  return table.keyColumns
    .map(({ name }) => `coalesce(live.${name}, fresh.${name}) as ${name}`)
    .join(', ');
}

/**
 * Which suspects differ still. In the transaction in which changes were taken over, so that it says what a swap would
 * change.
 */
export async function readDifferences<Schema>(tx: Transaction<Schema>): Promise<Differences> {
  const byTable = new Map<string, number>();
  const first: RowDifference[] = [];
  for (const table of derivedTables) {
    const { rows: counted } = await sql<{ differing: bigint }>`
      select count(*) as differing ${suspects(table)}`.execute(tx);
    const differing = Number(counted[0]?.differing ?? 0n);
    byTable.set(table.name, differing);
    if (differing > 0) first.push(...(await listDifferences(tx, table, listedMax - first.length)));
  }
  const total = [...byTable.values()].reduce((sum, differing) => sum + differing, 0);
  return { byTable, total, first };
}

function suspects(table: DerivedTable) {
  return sql`from (select distinct ${sql.raw(keyList(table))}
      from ${sql.table(suspectsOf(table))}) as suspects
    left join ${sql.table(table.name)} as live on ${sql.raw(sameKey(table, 'suspects', 'live'))}
    left join ${sql.table(freshOf(table))} as fresh
      on ${sql.raw(sameKey(table, 'suspects', 'fresh'))}
    where live is distinct from fresh`;
}

interface DifferingRow {
  readonly row: string;
  readonly in_live: boolean;
  readonly in_fresh: boolean;
  readonly columns: readonly string[];
}

async function listDifferences<Schema>(
  tx: Transaction<Schema>,
  table: DerivedTable,
  limit: number,
): Promise<readonly RowDifference[]> {
  const columns = await columnsOf(tx, table);
  const named = columns.map(
    (name) => `case when live.${name} is distinct from fresh.${name} then '${name}' end`,
  );
  const { rows } = await sql<DifferingRow>`
    select concat_ws('/', ${sql.raw(keyList(table, 'suspects'))}) as row,
      ${sql.raw(`live.${firstKey(table)}`)} is not null as in_live,
      ${sql.raw(`fresh.${firstKey(table)}`)} is not null as in_fresh,
      array_remove(array[${sql.raw(named.join(', '))}], null) as columns
    ${suspects(table)} order by ${sql.raw(keyList(table, 'suspects'))} limit ${limit}`.execute(tx);
  return rows.map((row) => differenceOf(table.name, row));
}

function differenceOf(table: string, row: DifferingRow): RowDifference {
  if (!row.in_live) return { table, row: row.row, kind: 'missing in the live table', columns: [] };
  if (!row.in_fresh) return { table, row: row.row, kind: 'not on the log', columns: [] };
  return { table, row: row.row, kind: 'differs', columns: row.columns };
}

async function columnsOf<Schema>(
  tx: Transaction<Schema>,
  table: DerivedTable,
): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select attname as name from pg_attribute
    where attrelid = (current_schema() || '.' || ${table.name})::regclass and attnum > 0
      and not attisdropped order by attnum`.execute(tx);
  return rows.map(({ name }) => name);
}
