import { families, type MetricFamily } from '../domain/families.ts';
import { columnsOf } from '../domain/fold.ts';
import { ledgerEngine, type LedgerTopology, onCluster, singleServer } from './topology.ts';

/** The database of exact cells, seen by this service only; `released` comes beside it with the release mechanism. */
export const ledgerDatabase = 'ledger';

/**
 * The statements that bring a database to the tables of all families; each may run again. `database` is a name of
 * ours, not input.
 */
export function ledgerDdl(
  database: string,
  topology: LedgerTopology = singleServer,
): readonly string[] {
  return [
    `CREATE DATABASE IF NOT EXISTS ${database}${onCluster(topology)}`,
    ...families.map((family) => createTable(database, family, family.name, topology)),
  ];
}

/** The same tables under other names, for a rebuild. */
export function freshLedgerDdl(
  database: string,
  nameOf: (family: string) => string,
  topology: LedgerTopology = singleServer,
) {
  return families.map((family) => createTable(database, family, nameOf(family.name), topology));
}

/** A column of a ledger table, in ClickHouse's own words. */
export interface LedgerColumn {
  readonly name: string;
  readonly type: string;
}

export function ledgerColumns(family: MetricFamily): readonly LedgerColumn[] {
  return [
    { name: 'tenant_id', type: 'LowCardinality(String)' },
    { name: 'hour', type: "DateTime('UTC')" },
    ...family.dimensions.map((name) => ({ name, type: 'UInt16' })),
    { name: 'projection_version', type: 'UInt32' },
    { name: 'manifest_id', type: 'UUID' },
    ...columnsOf(family).map((name) => ({ name, type: measureType(family, name) })),
  ];
}

/** What tells two rows apart; see below. */
export function ledgerRowKey(family: MetricFamily): readonly string[] {
  return ['tenant_id', 'hour', ...family.dimensions, 'projection_version', 'manifest_id'];
}

export const ledgerPartition = 'toYYYYMM(hour)';

/*
 * The row key is the cell, the manifest and the projection version: an insert that is repeated replaces itself for
 * ever, not within a window. FINAL is needed until merges have done the same. The tenant leads the key. Nobody's id
 * or hash is a column.
 *
 * fsync_*: a manifest is marked done once its insert returned; a machine that then loses power must not lose the part.
 */
function createTable(
  database: string,
  family: MetricFamily,
  name: string,
  topology: LedgerTopology,
): string {
  const columns = ledgerColumns(family).map((column) => `${column.name} ${column.type}`);
  return `CREATE TABLE IF NOT EXISTS ${database}.${name}${onCluster(topology)} (
    ${columns.join(',\n    ')}
  ) ENGINE = ${ledgerEngine(topology)}
  PARTITION BY ${ledgerPartition}
  PRIMARY KEY (tenant_id, hour)
  ORDER BY (${ledgerRowKey(family).join(', ')})
  SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1`;
}

// A sum of what callers state may pass 2^63 over many rows; a count of events cannot.
function measureType(family: MetricFamily, column: string): string {
  const isSum = family.measures.some(
    ({ kind, name }) => kind === 'sum' && column.endsWith(`_${name}`),
  );
  return isSum ? 'Int128' : 'UInt64';
}
