import { projectionVersion } from '../domain/families.ts';
import type { CodeFilter, MetricQuery } from '../domain/metric-query.ts';
import { columnsOfMetric, type Metric } from '../domain/metrics.ts';
import type { QueryGrain } from '../domain/time-buckets.ts';

/** A statement whose every value is a query parameter; names come from the catalogue alone. */
export interface LedgerStatement {
  readonly text: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Seconds since 1970 of the bucket's start. */
const bucketSql: Readonly<Record<QueryGrain, string>> = {
  hour: 'toUnixTimestamp(hour)',
  day: 'toUnixTimestamp(toStartOfDay(hour))',
  // Mode 1: weeks begin on Monday. The cast keeps the date in UTC whatever the server's zone is.
  week: "toUnixTimestamp(toDateTime(toStartOfWeek(hour, 1), 'UTC'))",
  month: "toUnixTimestamp(toDateTime(toStartOfMonth(hour), 'UTC'))",
  total: '0',
};

/**
 * A tenant's query. FINAL, as an insert may have been repeated; the partition is a function of the row key, so merging
 * across partitions is not needed. One row more than the limit is asked for, so that an answer is never cut silently.
 */
export function metricSql(
  database: string,
  tenantId: string,
  query: MetricQuery,
  rowsMax: number,
): LedgerStatement {
  const { metric, groupBy } = query;
  const only = columnsOfMetric(metric).only;
  const filters = [...query.filters, ...(only === undefined ? [] : [only])];
  const groups = ['bucket', ...groupBy].join(', ');
  const text = `SELECT ${[`${bucketSql[query.grain]} AS bucket`, ...groupBy, ...measureSql(metric)].join(', ')}
    FROM ${database}.${metric.family} FINAL
    WHERE tenant_id = {tenant:String} AND projection_version = {version:UInt32}
      AND hour >= fromUnixTimestamp({from:Int64}) AND hour < fromUnixTimestamp({to:Int64})
      ${filters.map(filterSql).join('\n      ')}
    GROUP BY ${groups}
    HAVING ${havingSql(metric)}
    ORDER BY ${groups}
    LIMIT {limit:UInt32}
    SETTINGS do_not_merge_across_partitions_select_final = 1`;
  return {
    text,
    parameters: {
      tenant: tenantId,
      version: projectionVersion,
      from: (query.fromMs ?? 0) / 1000,
      to: query.toMs / 1000,
      limit: rowsMax + 1,
      ...Object.fromEntries(filters.map(({ codes }, index) => [`codes${index}`, codes])),
    },
  };
}

/** The sum of a metric over all tenants and all time. */
export function totalSql(database: string, metric: Metric): LedgerStatement {
  const only = columnsOfMetric(metric).only;
  const filters = only === undefined ? [] : [only];
  const text = `SELECT 0 AS bucket, ${measureSql(metric).join(', ')}
    FROM ${database}.${metric.family} FINAL
    WHERE projection_version = {version:UInt32} ${filters.map(filterSql).join(' ')}
    SETTINGS do_not_merge_across_partitions_select_final = 1`;
  return {
    text,
    parameters: {
      version: projectionVersion,
      ...Object.fromEntries(filters.map(({ codes }, index) => [`codes${index}`, codes])),
    },
  };
}

// As text: a JSON number loses digits beyond 2^53.
function measureSql(metric: Metric): readonly string[] {
  const { exact, accepted, late, sum } = columnsOfMetric(metric);
  return [
    `toString(sum(${exact})) AS exact`,
    `toString(sum(${accepted})) AS accepted`,
    `toString(sum(${late})) AS late`,
    sum === undefined ? `'0' AS total` : `toString(sum(${sum})) AS total`,
  ];
}

// A cell holds every measure of its family, so one that counted something else is all zeros here: no row for the reader.
function havingSql(metric: Metric): string {
  const { exact, accepted, late } = columnsOfMetric(metric);
  return [exact, accepted, late].map((column) => `sum(${column}) != 0`).join(' OR ');
}

function filterSql({ dimension }: CodeFilter, index: number): string {
  return `AND ${dimension} IN {codes${index}:Array(UInt16)}`;
}
