import { type Kysely, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { ServerAdapter } from './postgres.ts';

/** What a server says of itself and of its connections. */
export interface PostgresFound {
  readonly version: number;
  readonly synchronous_commit: string;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly encoding: string;
  readonly isolation: string;
  /** What unqualified names mean; null: nothing that exists. */
  readonly schema: string | null;
  /** The same on a connection for locks and migrations. */
  readonly lockSchema: string | null;
}

/** The oldest major version that Lethe's SQL was run on. */
const oldestVersion = 150_000;

/** Each setting that Lethe cannot run with in a schema of that name, and what to do. */
export function problemsOf(found: PostgresFound, schemaName: string): readonly string[] {
  const rules: readonly (readonly [boolean, string])[] = [
    [found.version < oldestVersion, 'PostgreSQL is older than 15: upgrade it'],
    [
      found.synchronous_commit === 'off',
      'synchronous_commit is off, so that commits which were answered can be lost: set it to on for the user of this service',
    ],
    [found.fsync !== 'on', 'fsync is off: set it to on'],
    [found.full_page_writes !== 'on', 'full_page_writes is off: set it to on'],
    [found.encoding !== 'UTF8', 'the database is not in UTF8: create it with encoding UTF8'],
    [
      found.isolation !== 'read committed',
      'default_transaction_isolation is not read committed: the pooler drops the options of connections, so set it for the user',
    ],
    [
      found.schema === null,
      'the schema in search_path does not exist: create it for the user of this service',
    ],
    [
      found.schema !== null && found.schema !== schemaName,
      `tables would be looked for in schema ${found.schema} and not in ${schemaName}, as LETHE_POSTGRES_SCHEMA says: the pooler at LETHE_POSTGRES_URL drops the options of connections, so set search_path for the user`,
    ],
    [
      found.lockSchema !== schemaName && found.lockSchema !== found.schema,
      `locks and migrations would be in ${found.lockSchema === null ? 'no schema' : `schema ${found.lockSchema}`} and not in ${schemaName}, as LETHE_POSTGRES_SCHEMA says: LETHE_POSTGRES_LOCK_URL must name the server itself, or a pooler in session mode, and the same database`,
    ],
  ];
  return rules.flatMap(([broken, problem]) => (broken ? [problem] : []));
}

/**
 * Looks once, at start, at what a PostgreSQL server must hold for Lethe's promises: commits that were answered stay,
 * later statements see what was committed while a lock was waited for, tables and locks are in the service's own schema.
 * Throws CONFIG_INVALID with every problem, STORE_UNAVAILABLE when the server does not answer.
 */
export async function assertPostgresFits<Schema>(db: Kysely<Schema>): Promise<void> {
  const { adapter } = db.getExecutor();
  if (!(adapter instanceof ServerAdapter)) {
    throw new ServiceError('INTERNAL_DEFECT', 'no server to look at: a database of another driver');
  }
  const { rows } = await sql<Omit<PostgresFound, 'lockSchema'>>`select
    current_setting('server_version_num')::int4 as version,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('server_encoding') as encoding,
    current_setting('transaction_isolation') as isolation,
    current_schema() as schema`.execute(db);
  const lockSchema = await lockSchemaOf(adapter);
  const [found] = rows;
  const problems =
    found === undefined
      ? ['the server answered nothing']
      : problemsOf({ ...found, lockSchema }, adapter.schemaName);
  if (problems.length === 0) return;
  throw new ServiceError('CONFIG_INVALID', `PostgreSQL does not fit: ${problems.join('; ')}`);
}

async function lockSchemaOf(adapter: ServerAdapter): Promise<string | null> {
  const lockHandle = adapter.openLockHandle();
  try {
    const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(
      lockHandle,
    );
    return rows[0]?.name ?? null;
  } finally {
    await lockHandle.destroy();
  }
}
