import { type Kysely, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';

interface Found {
  readonly version: number;
  readonly synchronous_commit: string;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly encoding: string;
  readonly isolation: string;
  readonly schema: string | null;
}

/** The oldest major version that Lethe's SQL was run on. */
const oldestVersion = 150_000;

/** A setting that Lethe cannot run with, and what to do. */
function problemsOf(found: Found): readonly string[] {
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
  ];
  return rules.flatMap(([broken, problem]) => (broken ? [problem] : []));
}

/**
 * Looks once, at start, at what a PostgreSQL server must hold for Lethe's promises: commits that were answered stay,
 * later statements see what was committed while a lock was waited for. Throws CONFIG_INVALID with every problem,
 * STORE_UNAVAILABLE when the server does not answer.
 */
export async function assertPostgresFits<Schema>(db: Kysely<Schema>): Promise<void> {
  const { rows } = await sql<Found>`select
    current_setting('server_version_num')::int4 as version,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('server_encoding') as encoding,
    current_setting('transaction_isolation') as isolation,
    current_schema() as schema`.execute(db);
  const [found] = rows;
  const problems = found === undefined ? ['the server answered nothing'] : problemsOf(found);
  if (problems.length === 0) return;
  throw new ServiceError('CONFIG_INVALID', `PostgreSQL does not fit: ${problems.join('; ')}`);
}
