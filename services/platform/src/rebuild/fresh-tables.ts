import { type Kysely, sql, type Transaction } from 'kysely';
import type { Clock } from '../lifecycle/clock.ts';
import {
  changesOf,
  type DerivedTable,
  derivedTables,
  freshOf,
  keyList,
  suspectsOf,
  workPrefix,
} from './derived-tables.ts';
import { limitLockWait, withTablesLocked } from './table-locks.ts';

/**
 * Creates the fresh tables, with the indexes of the live ones, and from the same moment on notes the key of every live
 * row that changes. The triggers wait for the writers that are under way, so no change is between the two.
 *
 * If the process dies afterwards, the live tables are as they were but for the triggers, which `removeWork` takes away
 * at the next start or rebuild, or within a minute in another process of the service.
 */
export async function createFreshTables<Schema>(db: Kysely<Schema>, clock: Clock): Promise<void> {
  await withTablesLocked(db, clock, 'writers', async (tx) => {
    await sql`create table ${sql.id(`${workPrefix}observed`)} (
      tenant_id text collate "C" not null, token text collate "C" not null, record bytea not null,
      primary key (tenant_id, token))`.execute(tx);
    for (const table of derivedTables) {
      const { name } = table;
      await run(
        tx,
        `create table ${freshOf(table)} (like ${name} including defaults including storage including constraints)`,
      );
      for (const { definition } of await indexesOf(tx, name)) await run(tx, definition);
      for (const keys of [changesOf(table), suspectsOf(table)]) {
        await run(tx, `create table ${keys} as select ${keyList(table)} from ${name} with no data`);
      }
    }
    for (const table of derivedTables) await createTriggers(tx, table);
  });
}

/** Puts the fresh tables in the place of the live ones, which go; in the caller's transaction, under its locks. */
export async function exchangeTables<Schema>(tx: Transaction<Schema>): Promise<void> {
  for (const table of derivedTables) {
    const { name } = table;
    const indexes = await indexesOf(tx, name);
    for (const grant of await grantsOf(tx, table)) await run(tx, grant);
    // No copy is kept: an erasure would not find it.
    await run(tx, `drop table ${name}`);
    await run(tx, `alter table ${freshOf(table)} rename to ${name}`);
    for (const index of indexes) {
      await run(tx, `alter index ${workPrefix}${index.name} rename to ${index.name}`);
    }
  }
}

/** What gives the fresh table's readers the rights that others than its owner have on the live one. */
async function grantsOf<Schema>(
  tx: Transaction<Schema>,
  table: DerivedTable,
): Promise<readonly string[]> {
  const { rows } = await sql<{ statement: string }>`
    select format('grant %s on %I to %s%s', privilege_type, ${freshOf(table)}::text,
      case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' else '' end) as statement
    from pg_class, aclexplode(relacl)
    where relnamespace = current_schema()::regnamespace and relname = ${table.name}
      and grantee <> relowner`.execute(tx);
  return rows.map(({ statement }) => statement);
}

/** Whether a rebuild that runs, or one that died, has anything here. */
export async function hasWork<Schema>(db: Kysely<Schema>): Promise<boolean> {
  return (await functionsOf(db)).length > 0 || (await tablesOf(db)).length > 0;
}

/**
 * Drops what a rebuild left behind, this one or one that died; answers whether there was anything. Throws
 * STORE_UNAVAILABLE when somebody kept the tables from it for `triesForMs`; what it had no luck with is still there.
 */
export async function removeWork<Schema>(
  db: Kysely<Schema>,
  clock: Clock,
  triesForMs?: number,
): Promise<boolean> {
  const functions = await functionsOf(db);
  if (functions.length > 0) {
    const drop = async (tx: Transaction<Schema>): Promise<void> => {
      // With their triggers on the live tables.
      for (const name of functions) await run(tx, `drop function ${name}() cascade`);
    };
    await withTablesLocked(db, clock, 'all', drop, triesForMs);
  }
  const tables = await tablesOf(db);
  for (const name of tables) {
    await db.transaction().execute(async (tx) => {
      await limitLockWait(tx);
      await run(tx, `drop table if exists ${name}`);
    });
  }
  return functions.length + tables.length > 0;
}

async function tablesOf<Schema>(db: Kysely<Schema>): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class
    where relnamespace = current_schema()::regnamespace and relkind = 'r'
      and starts_with(relname, ${workPrefix})`.execute(db);
  return rows.map(({ name }) => name);
}

async function functionsOf<Schema>(db: Kysely<Schema>): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select proname as name from pg_proc
    where pronamespace = current_schema()::regnamespace and starts_with(proname, ${workPrefix})`.execute(
    db,
  );
  return rows.map(({ name }) => name);
}

/** A statement of names of ours alone. */
async function run<Schema>(db: Kysely<Schema>, statement: string): Promise<void> {
  await sql.raw(statement).execute(db);
}

interface IndexToMake {
  readonly name: string;
  /** Makes the same index on the fresh table. */
  readonly definition: string;
}

async function indexesOf<Schema>(
  tx: Transaction<Schema>,
  table: DerivedTable['name'],
): Promise<readonly IndexToMake[]> {
  const { rows } = await sql<{ name: string; definition: string; primary: boolean }>`
    select index_class.relname as name, pg_get_indexdef(pg_index.indexrelid) as definition,
      pg_index.indisprimary as primary
    from pg_index join pg_class as index_class on index_class.oid = pg_index.indexrelid
    where pg_index.indrelid = (current_schema() || '.' || ${table})::regclass
    order by index_class.relname`.execute(tx);
  return rows.map(({ name, definition, primary }) => {
    const fresh = `${workPrefix}${table}`;
    const columns = definition.replace(/^CREATE (UNIQUE )?INDEX \S+ ON \S+ /, '');
    if (primary) {
      const list = columns.replace(/^USING btree /, '');
      const constraint = `add constraint ${workPrefix}${name} primary key ${list}`;
      return { name, definition: `alter table ${fresh} ${constraint}` };
    }
    const kind = definition.startsWith('CREATE UNIQUE') ? 'unique index' : 'index';
    return { name, definition: `create ${kind} ${workPrefix}${name} on ${fresh} ${columns}` };
  });
}

/** Statement triggers: one insert of keys for each statement that changes rows, in its own transaction. */
async function createTriggers<Schema>(tx: Transaction<Schema>, table: DerivedTable): Promise<void> {
  const { name } = table;
  for (const [rows, what] of [
    ['came', 'new'],
    ['gone', 'old'],
  ] as const) {
    const noting = `${workPrefix}note_${rows}_${name}`;
    await run(
      tx,
      `create function ${noting}() returns trigger language plpgsql as $$
       begin insert into ${changesOf(table)} select ${keyList(table)} from ${rows}; return null; end $$`,
    );
    const actions = rows === 'came' ? ['insert', 'update'] : ['update', 'delete'];
    for (const action of actions) {
      await run(
        tx,
        `create trigger ${noting}_${action} after ${action} on ${name}
         referencing ${what} table as ${rows} for each statement execute function ${noting}()`,
      );
    }
  }
}
