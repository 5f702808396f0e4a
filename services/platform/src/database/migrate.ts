import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { ServiceError } from '../errors/service-error.ts';
import { advisoryLockNumber } from './fence-lock.ts';
import { ServerAdapter } from './postgres.ts';

/** Migrations by name; run in the order of their names ("0001-first", "0002-…"), never renamed. */
export type Migrations = Readonly<Record<string, Migration>>;

/**
 * Brings the schema of `db` to the newest migration, in one transaction; does nothing when it is there. Processes that
 * start together wait for the one that migrates. Throws SCHEMA_NEWER when the database has migrations that this code
 * does not know, and whatever a migration throws.
 *
 * If the process dies anywhere in it, the server rolls everything back, and the next start begins anew.
 */
export async function migrateToLatest<Schema>(
  db: Kysely<Schema>,
  migrations: Migrations,
): Promise<void> {
  const { adapter } = db.getExecutor();
  if (!(adapter instanceof ServerAdapter)) {
    await migrateInTransaction(db, migrations);
    return;
  }
  const patient = adapter.openMigrationHandle<Schema>();
  try {
    await migrateInTransaction(patient, migrations);
  } finally {
    await patient.destroy();
  }
}

async function migrateInTransaction<Schema>(
  db: Kysely<Schema>,
  migrations: Migrations,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const schemaName = await currentSchema(tx);
    // What another starter did while we waited is seen by the statements after this one.
    const lockNumber = advisoryLockNumber('migrate', schemaName);
    await sql`select pg_advisory_xact_lock(${lockNumber}::int8)`.execute(tx);
    await refuseNewer(tx, schemaName, migrations);
    const migrator = new Migrator({
      db: tx,
      provider: { getMigrations: async () => ({ ...migrations }) },
      migrationTableSchema: schemaName,
    });
    const { error } = await migrator.migrateToLatest();
    if (error instanceof Error) throw error;
    if (error !== undefined) {
      throw new ServiceError('INTERNAL_DEFECT', 'a migration failed', { cause: error });
    }
  });
}

/** Throws SCHEMA_NEWER as `migrateToLatest` does, and changes nothing. */
export async function assertNotNewer<Schema>(
  db: Kysely<Schema>,
  migrations: Migrations,
): Promise<void> {
  await refuseNewer(db, await currentSchema(db), migrations);
}

async function currentSchema<Schema>(db: Kysely<Schema>): Promise<string> {
  const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(db);
  const name = rows[0]?.name;
  if (typeof name !== 'string') {
    throw new ServiceError(
      'STORE_UNAVAILABLE',
      'the schema in search_path does not exist: create it for the user of this service',
    );
  }
  return name;
}

async function refuseNewer<Schema>(
  db: Kysely<Schema>,
  schemaName: string,
  migrations: Migrations,
): Promise<void> {
  const table = `${schemaName}.kysely_migration`;
  const { rows: found } = await sql<{ present: boolean }>`
    select to_regclass(${table}) is not null as present`.execute(db);
  if (found[0]?.present !== true) return;
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db);
  const unknown = rows.map((row) => row.name).filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length === 0) return;
  throw new ServiceError(
    'SCHEMA_NEWER',
    `schema ${schemaName} has migrations unknown here: ${unknown.toSorted().join(', ')}`,
  );
}
