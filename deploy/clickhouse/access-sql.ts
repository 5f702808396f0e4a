/** Names in ClickHouse. Users are made without a password and from no host: an administrator gives both. */
const roles = { schema: 'lethe_schema', writer: 'lethe_writer', analyst: 'lethe_analyst' };
const users = { schema: 'lethe_admin', writer: 'lethe_analytics' };

/** Nobody knows what has this hash; `HOST NONE` refuses every login besides. */
const noPassword = `IDENTIFIED WITH sha256_hash BY '${'0'.repeat(64)}' HOST NONE`;

/**
 * Limits, roles, grants and users, with the reasons. `on` is empty or ` ON CLUSTER name`. Limits belong to the roles: a
 * user who is made later has them with the role.
 */
export function accessStatements(on: string): readonly string[] {
  return [...profiles(on), ...rolesAndGrants(on), ...usersOf(on)];
}

function profiles(on: string): readonly string[] {
  return [
    `-- analytics itself. Asynchronous inserts would be acknowledged from memory, and row keys make inserts idempotent,
-- not the server's memory of them: nobody may set it otherwise.
CREATE SETTINGS PROFILE IF NOT EXISTS ${roles.writer}${on} SETTINGS
  async_insert = 0 CONST,
  insert_deduplicate = 0 CONST,
  max_execution_time = 60 MAX 600,
  max_memory_usage = 4000000000 MAX 8000000000`,
    `-- Analysts: read within limits. readonly = 2 and not 1, under which a client may not even ask for compression; what
-- is CONST nobody raises.
CREATE SETTINGS PROFILE IF NOT EXISTS ${roles.analyst}${on} SETTINGS
  readonly = 2 CONST,
  allow_ddl = 0 CONST,
  allow_introspection_functions = 0 CONST,
  max_threads = 4 CONST,
  max_execution_time = 30 CONST,
  timeout_overflow_mode = 'throw' CONST,
  max_memory_usage = 2000000000 CONST,
  max_memory_usage_for_user = 4000000000 CONST,
  max_rows_to_read = 1000000000 CONST,
  read_overflow_mode = 'throw' CONST,
  max_result_rows = 1000000 CONST,
  max_result_bytes = 500000000 CONST,
  result_overflow_mode = 'throw' CONST,
  max_concurrent_queries_for_user = 10 CONST`,
  ];
}

function rolesAndGrants(on: string): readonly string[] {
  return [
    `CREATE ROLE IF NOT EXISTS ${roles.schema}${on}`,
    `CREATE ROLE IF NOT EXISTS ${roles.writer}${on} SETTINGS PROFILE '${roles.writer}'`,
    `CREATE ROLE IF NOT EXISTS ${roles.analyst}${on} SETTINGS PROFILE '${roles.analyst}'`,
    `-- Makes and changes tables: at an upgrade, in a rebuild and in a repair, and nobody else.
GRANT${on} CREATE DATABASE, CREATE TABLE, DROP TABLE, ALTER TABLE, SELECT, INSERT ON ledger.* TO ${roles.schema}`,
    `GRANT${on} CREATE DATABASE, CREATE TABLE, ALTER TABLE, SELECT ON released.* TO ${roles.schema}`,
    `-- Where the servers ask for it (table_engines_require_grant).
GRANT${on} TABLE ENGINE ON ${on === '' ? '' : 'Replicated'}ReplacingMergeTree TO ${roles.schema}`,
    ...(on === '' ? [] : [`GRANT${on} CLUSTER ON *.* TO ${roles.schema}`]),
    `-- analytics in its daily work: it adds rows, and neither changes nor deletes any.
GRANT${on} SELECT, INSERT ON ledger.* TO ${roles.writer}`,
    `GRANT${on} SELECT, INSERT ON released.* TO ${roles.writer}`,
    `-- Analysts see what is released, and of the ledger not even the names. No source (url, file, remote, s3) and no
-- temporary table is granted.
GRANT${on} SELECT ON released.* TO ${roles.analyst}`,
    `CREATE QUOTA IF NOT EXISTS ${roles.analyst}${on} KEYED BY user_name
  FOR INTERVAL 1 hour MAX queries = 10000, errors = 1000, execution_time = 3600
  TO ${roles.analyst}`,
  ];
}

function usersOf(on: string): readonly string[] {
  const create = (user: string) => `CREATE USER IF NOT EXISTS ${user}${on} ${noPassword}`;
  return [
    `-- Nobody can log in as these until an administrator has run, from a client that keeps no history:
--   ALTER USER ${users.writer}${on} IDENTIFIED WITH sha256_password BY '…' HOST IP '10.0.0.0/8'
${create(users.schema)}`,
    `GRANT${on} ${roles.schema} TO ${users.schema}`,
    create(users.writer),
    `GRANT${on} ${roles.writer} TO ${users.writer}`,
    `-- An analyst; one user for each person, so that quotas and query_log name them.
${create('analyst_example')}`,
    `GRANT${on} ${roles.analyst} TO analyst_example`,
  ];
}
