-- Roles, limits, grants and users of Lethe's analytics; as an administrator. Each statement may run again, and
-- changes nothing that is there already.
-- Written by "node deploy/clickhouse/write-sql.ts"; a test holds the file equal to the code (access-sql.ts).

-- analytics itself. Asynchronous inserts would be acknowledged from memory, and row keys make inserts idempotent,
-- not the server's memory of them: nobody may set it otherwise.
CREATE SETTINGS PROFILE IF NOT EXISTS lethe_writer SETTINGS
  async_insert = 0 CONST,
  insert_deduplicate = 0 CONST,
  max_execution_time = 60 MAX 600,
  max_memory_usage = 4000000000 MAX 8000000000;

-- Analysts: read within limits. readonly = 2 and not 1, under which a client may not even ask for compression; what
-- is CONST nobody raises.
CREATE SETTINGS PROFILE IF NOT EXISTS lethe_analyst SETTINGS
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
  max_concurrent_queries_for_user = 10 CONST;

CREATE ROLE IF NOT EXISTS lethe_schema;

CREATE ROLE IF NOT EXISTS lethe_writer SETTINGS PROFILE 'lethe_writer';

CREATE ROLE IF NOT EXISTS lethe_analyst SETTINGS PROFILE 'lethe_analyst';

-- Makes and changes tables: at an upgrade, in a rebuild and in a repair, and nobody else.
GRANT CREATE DATABASE, CREATE TABLE, DROP TABLE, ALTER TABLE, SELECT, INSERT ON ledger.* TO lethe_schema;

GRANT CREATE DATABASE, CREATE TABLE, ALTER TABLE, SELECT ON released.* TO lethe_schema;

-- Where the servers ask for it (table_engines_require_grant).
GRANT TABLE ENGINE ON ReplacingMergeTree TO lethe_schema;

-- analytics in its daily work: it adds rows, and neither changes nor deletes any.
GRANT SELECT, INSERT ON ledger.* TO lethe_writer;

GRANT SELECT, INSERT ON released.* TO lethe_writer;

-- Analysts see what is released, and of the ledger not even the names. No source (url, file, remote, s3) and no
-- temporary table is granted.
GRANT SELECT ON released.* TO lethe_analyst;

CREATE QUOTA IF NOT EXISTS lethe_analyst KEYED BY user_name
  FOR INTERVAL 1 hour MAX queries = 10000, errors = 1000, execution_time = 3600
  TO lethe_analyst;

-- Nobody can log in as these until an administrator has run, from a client that keeps no history:
--   ALTER USER lethe_analytics IDENTIFIED WITH sha256_password BY '…' HOST IP '10.0.0.0/8'
CREATE USER IF NOT EXISTS lethe_admin IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000' HOST NONE;

GRANT lethe_schema TO lethe_admin;

CREATE USER IF NOT EXISTS lethe_analytics IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000' HOST NONE;

GRANT lethe_writer TO lethe_analytics;

-- An analyst; one user for each person, so that quotas and query_log name them.
CREATE USER IF NOT EXISTS analyst_example IDENTIFIED WITH sha256_hash BY '0000000000000000000000000000000000000000000000000000000000000000' HOST NONE;

GRANT lethe_analyst TO analyst_example;
