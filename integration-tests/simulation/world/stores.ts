import { PGlite } from '@electric-sql/pglite';
import { sql } from 'kysely';
import { migrations as analyticsMigrations } from '@lethe/analytics/migrations/migrations.ts';
import { migrations as keysMigrations } from '@lethe/keys/migrations/migrations.ts';
import { migrateToLatest, type Migrations } from '@lethe/platform/database/migrate.ts';
import { createPgliteDatabases, pgliteOptions } from '@lethe/platform/database/pglite.ts';
import {
  type AppliedSchema,
  createAppliedTables,
} from '@lethe/platform/testing/applied-records.ts';
import { migrations as privacyMigrations } from '@lethe/privacy/migrations/migrations.ts';
import { migrations as ticketsMigrations } from '@lethe/tickets/migrations/migrations.ts';
import type { EngineParts } from '../database/engine.ts';
import { createQualify } from '../database/qualify.ts';
import { createStatementKinds } from '../database/statements.ts';
import { createWire } from '../database/wire.ts';

/** The schemas of a run: those of the services, and the auditor's. */
export const schemas = ['keys', 'privacy', 'tickets', 'analytics', 'audit'] as const;
export type SchemaName = (typeof schemas)[number];

const migrationsOf: Readonly<Record<Exclude<SchemaName, 'audit'>, Migrations>> = {
  keys: keysMigrations,
  privacy: privacyMigrations,
  tickets: ticketsMigrations,
  analytics: analyticsMigrations,
};

/** One PGlite for all runs of a process of Node, with every service's tables, and a copy of each for lost commits. */
export interface Engineroom extends EngineParts {
  /** Base tables by schema. */
  readonly tables: ReadonlyMap<SchemaName, readonly string[]>;
  /** An empty database for a run: everything that it does is rolled back by `endRun`. */
  beginRun(): void;
  endRun(): void;
  close(): Promise<void>;
}

/** Boots PGlite and migrates: seconds. */
export async function openEngineroom(): Promise<Engineroom> {
  const pglite = await PGlite.create('memory://', pgliteOptions);
  const databases = createPgliteDatabases(pglite);
  for (const schema of schemas) {
    const db = databases.database<AppliedSchema>(schema);
    if (schema === 'audit') await createAppliedTables(db);
    else await migrateToLatest(db, migrationsOf[schema]);
  }
  const tables = new Map<SchemaName, readonly string[]>();
  for (const schema of schemas) {
    const db = databases.database(schema);
    const { rows } = await sql<{ name: string }>`select table_name as name
      from information_schema.tables where table_schema = ${schema}
        and table_name not like 'kysely%' order by table_name`.execute(db);
    tables.set(
      schema,
      rows.map(({ name }) => name),
    );
    await sql.raw(`create schema ${schema}_kept`).execute(db);
    for (const { name } of rows) {
      await sql.raw(`create table ${schema}_kept.${name} as table ${schema}.${name}`).execute(db);
    }
  }
  const wire = createWire(pglite);
  const sequences = wire.query(
    `select schemaname || '.' || sequencename as name from pg_sequences`,
    [],
  ).rows;
  let runs = 0;
  return {
    wire,
    catalogue: new Map(),
    qualify: createQualify(tables),
    kindOf: createStatementKinds(),
    tables,
    beginRun: () => {
      // What rolled-back runs left on the pages.
      runs += 1;
      if (runs % 100 === 0) wire.control('vacuum');
      wire.control('begin');
      for (const { name } of sequences) wire.control(`select setval('${String(name)}', 1, false)`);
    },
    endRun: () => {
      wire.control('rollback');
    },
    close: async () => databases.close(),
  };
}
