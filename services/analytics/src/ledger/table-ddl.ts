import { families, type MetricFamily } from '../domain/families.ts';
import { columnsOf } from '../domain/fold.ts';

/** The database of exact cells, seen by this service only; `released` comes beside it with the release mechanism. */
export const ledgerDatabase = 'ledger';

/**
 * The statements that bring a database to the tables of all families; each may run again. `database` is a name of
 * ours, not input.
 */
export function ledgerDdl(database: string): readonly string[] {
  return [
    `CREATE DATABASE IF NOT EXISTS ${database}`,
    ...families.map((family) => createTable(database, family, family.name)),
  ];
}

/** The same tables under other names, for a rebuild. */
export function freshLedgerDdl(database: string, nameOf: (family: string) => string) {
  return families.map((family) => createTable(database, family, nameOf(family.name)));
}

/*
 * The row key is the cell, the manifest and the projection version: an insert that is repeated replaces itself for
 * ever, not within a window. FINAL is needed until merges have done the same. The tenant leads the key. Nobody's id
 * or hash is a column.
 *
 * fsync_*: a manifest is marked done once its insert returned; a machine that then loses power must not lose the part.
 */
function createTable(database: string, family: MetricFamily, name: string): string {
  const columns = [
    `tenant_id LowCardinality(String)`,
    `hour DateTime('UTC')`,
    ...family.dimensions.map((name) => `${name} UInt16`),
    `projection_version UInt32`,
    `manifest_id UUID`,
    ...columnsOf(family).map((name) => `${name} ${measureType(family, name)}`),
  ];
  const rowKey = ['tenant_id', 'hour', ...family.dimensions, 'projection_version', 'manifest_id'];
  return `CREATE TABLE IF NOT EXISTS ${database}.${name} (
    ${columns.join(',\n    ')}
  ) ENGINE = ReplacingMergeTree
  PARTITION BY toYYYYMM(hour)
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (${rowKey.join(', ')})
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1`;
}

// A sum of what callers state may pass 2^63 over many rows; a count of events cannot.
function measureType(family: MetricFamily, column: string): string {
  const isSum = family.measures.some(
    ({ kind, name }) => kind === 'sum' && column.endsWith(`_${name}`),
  );
  return isSum ? 'Int128' : 'UInt64';
}
