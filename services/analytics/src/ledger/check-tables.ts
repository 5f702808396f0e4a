import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';
import { families, type MetricFamily } from '../domain/families.ts';
import { ledgerColumns, ledgerPartition, ledgerRowKey } from './table-ddl.ts';
import { ledgerEngine, type LedgerTopology } from './topology.ts';

const tableSchema = z.object({
  name: z.string(),
  engine: z.string(),
  sorting_key: z.string(),
  partition_key: z.string(),
});
const columnSchema = z.object({ table: z.string(), name: z.string(), type: z.string() });

/** What is asked of the ledger's statements. */
export interface TableQueries {
  readonly database: string;
  readonly topology: LedgerTopology;
  rows(text: string, parameters: Readonly<Record<string, unknown>>): Promise<readonly unknown[]>;
}

/**
 * Compares the tables with what `ledgerDdl` makes, for servers where the service may make none. Throws CONFIG_INVALID
 * with a violation for each table and column; further columns are left alone.
 */
export async function checkTables(statements: TableQueries): Promise<void> {
  const { database } = statements;
  const tables = z.array(tableSchema).parse(
    await statements.rows(
      `SELECT name, engine, sorting_key, partition_key FROM system.tables
       WHERE database = {database:String}`,
      { database },
    ),
  );
  const columns = z
    .array(columnSchema)
    .parse(
      await statements.rows(
        `SELECT table, name, type FROM system.columns WHERE database = {database:String}`,
        { database },
      ),
    );
  const engine = ledgerEngine(statements.topology).replace(/\(.*$/s, '');
  const violations = families.flatMap((family) => {
    const table = tables.find(({ name }) => name === family.name);
    const field = `${database}.${family.name}`;
    if (table === undefined) {
      const description =
        'does not exist, or this user may not see it: run deploy/clickhouse/*.sql';
      return [{ field, description }];
    }
    const found = new Map(
      columns.filter((each) => each.table === family.name).map(({ name, type }) => [name, type]),
    );
    return [
      ...tableViolations(family, table, engine, field),
      ...columnViolations(family, found, field),
    ];
  });
  if (violations.length === 0) return;
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new ServiceError('CONFIG_INVALID', `Tables of ClickHouse: ${list}`, { violations });
}

function tableViolations(
  family: MetricFamily,
  table: z.output<typeof tableSchema>,
  engine: string,
  field: string,
): readonly FieldViolation[] {
  const wanted = [
    ['engine', table.engine, engine],
    ['ORDER BY', table.sorting_key, ledgerRowKey(family).join(', ')],
    ['PARTITION BY', table.partition_key, ledgerPartition],
  ] as const;
  return wanted
    .filter(([, found, must]) => found !== must)
    .map(([what, found, must]) => ({
      field: `${field} ${what}`,
      description: `is ${found === '' ? 'none' : found} and must be ${must}`,
    }));
}

function columnViolations(
  family: MetricFamily,
  found: ReadonlyMap<string, string>,
  field: string,
): readonly FieldViolation[] {
  return ledgerColumns(family)
    .filter(({ name, type }) => found.get(name) !== type)
    .map(({ name, type }) => ({
      field: `${field}.${name}`,
      description: `is ${found.get(name) ?? 'missing'} and must be ${type}`,
    }));
}
