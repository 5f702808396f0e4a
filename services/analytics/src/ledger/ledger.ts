import { Readable } from 'node:stream';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { ClickHouseClient } from '@clickhouse/client';
import { z } from 'zod';
import { families } from '../domain/families.ts';
import type { LedgerInsert } from '../domain/ledger-rows.ts';
import type { MetricQuery } from '../domain/metric-query.ts';
import type { Metric } from '../domain/metrics.ts';
import { checkTables } from './check-tables.ts';
import { refused } from './clickhouse-error.ts';
import { createGate } from './gate.ts';
import { type LedgerStatement, metricSql, totalSql } from './query-sql.ts';
import { ledgerDdl } from './table-ddl.ts';
import {
  commandSettings,
  insertSettings,
  type LedgerTopology,
  querySettings,
  singleServer,
} from './topology.ts';

/** One row of an answer. */
export interface LedgerRow {
  /** Milliseconds since 1970 of the bucket's start; 0 for a total. */
  readonly bucketMs: number;
  /** In the order of the query's `groupBy`. */
  readonly codes: readonly number[];
  readonly exact: bigint;
  readonly accepted: bigint;
  readonly late: bigint;
  /** Sum of the metric's `sumMeasure`; 0 without one. */
  readonly sum: bigint;
}

/** The exact cells in ClickHouse. */
export interface Ledger {
  /** Creates what is missing. */
  createTables(): Promise<void>;
  /** Creates nothing. Throws CONFIG_INVALID with everything that is not as `createTables` makes it. */
  checkTables(): Promise<void>;
  /** Inserts rows; repeating it changes nothing. Returns once they are on disk. */
  insert(rows: LedgerInsert): Promise<void>;
  /** Throws ANSWER_TOO_LARGE when the answer has more than `rowsMax` rows. */
  query(tenantId: TenantId, query: MetricQuery, rowsMax: number): Promise<readonly LedgerRow[]>;
  /** A metric over all tenants and all time. */
  total(metric: Metric): Promise<LedgerRow>;
  readonly statements: LedgerStatements;
}

/** Statements on the ledger's tables for those who build them; the same turns as for everybody else's. */
export interface LedgerStatements {
  readonly database: string;
  readonly topology: LedgerTopology;
  command(text: string): Promise<void>;
  rows(text: string, parameters?: Readonly<Record<string, unknown>>): Promise<readonly unknown[]>;
  /** `table` is a name of ours; the body is TabSeparatedWithNames. */
  insert(table: string, body: Buffer): Promise<void>;
}

export interface LedgerOptions {
  readonly client: ClickHouseClient;
  /** A name of ours, such as "ledger". */
  readonly database: string;
  /** How many statements run at a time: 1 for chdb, whose session runs one and blocks a thread for each that waits. */
  readonly statementsMax: number;
  /** One server by default. */
  readonly topology?: LedgerTopology;
}

/** Over chdb in standalone and a ClickHouse server elsewhere: the same client speaks to both. */
export function createLedger(options: LedgerOptions): Ledger {
  const statements = createStatements(options);
  const { database, topology } = statements;
  const rowsOf = async ({ text, parameters }: LedgerStatement) => statements.rows(text, parameters);
  return {
    statements,
    createTables: async () => {
      for (const statement of ledgerDdl(database, topology)) await statements.command(statement);
    },
    checkTables: () => checkTables(statements),
    insert: async ({ family, body }) => statements.insert(tableOf(family), body),
    query: async (tenantId, query, rowsMax) => {
      const rows = await rowsOf(metricSql(database, tenantId, query, rowsMax));
      if (rows.length > rowsMax) {
        throw new ServiceError(
          'ANSWER_TOO_LARGE',
          `The answer has more than ${rowsMax} rows. Narrow the range, coarsen the grain or group by fewer dimensions.`,
        );
      }
      return rows.map((row) => parseRow(row, query));
    },
    total: async (metric) => {
      const [row] = await rowsOf(totalSql(database, metric));
      return parseRow(row, { groupBy: [] });
    },
  };
}

function createStatements({
  client,
  database,
  statementsMax,
  topology = singleServer,
}: LedgerOptions): LedgerStatements {
  const gate = createGate(statementsMax);
  const settings = {
    command: { clickhouse_settings: commandSettings(topology) },
    query: { clickhouse_settings: querySettings(topology) },
    insert: { clickhouse_settings: insertSettings(topology) },
  };
  return {
    database,
    topology,
    command: async (query) => {
      await gate(async () => client.command({ query, ...settings.command })).catch(refused);
    },
    rows: async (query, parameters = {}) =>
      gate(async () => {
        const query_params = { ...parameters };
        const result = await client.query({
          query,
          query_params,
          format: 'JSONEachRow',
          ...settings.query,
        });
        return result.json<unknown>();
      }).catch(refused),
    insert: async (table, body) => {
      await gate(async () =>
        client.insert({
          table: `${database}.${table}`,
          values: Readable.from([body], { objectMode: false }),
          format: 'TabSeparatedWithNames',
          ...settings.insert,
        }),
      ).catch(refused);
    },
  };
}

// The name comes from a manifest; only a family's own table is ever written to.
function tableOf(family: string): string {
  const known = families.find(({ name }) => name === family);
  if (known === undefined) {
    throw new ServiceError('INTERNAL_DEFECT', `a manifest names the unknown family ${family}`);
  }
  return known.name;
}

const measuresSchema = z.object({
  bucket: z.number(),
  exact: z.string(),
  accepted: z.string(),
  late: z.string(),
  total: z.string(),
});
const codesSchema = z.record(z.string(), z.unknown());

function parseRow(row: unknown, { groupBy }: Pick<MetricQuery, 'groupBy'>): LedgerRow {
  const measures = measuresSchema.parse(row);
  const byName = codesSchema.parse(row);
  return {
    bucketMs: measures.bucket * 1000,
    codes: groupBy.map((name) => z.number().parse(byName[name])),
    exact: BigInt(measures.exact),
    accepted: BigInt(measures.accepted),
    late: BigInt(measures.late),
    sum: BigInt(measures.total),
  };
}
