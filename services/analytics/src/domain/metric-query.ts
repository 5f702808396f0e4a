import type { QueryMetricRequest } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { codeOf, type DimensionName, dimensions, isDimensionName } from './dimensions.ts';
import type { Metric } from './metrics.ts';
import { hourMs, type QueryGrain } from './time-buckets.ts';

/** A query in the catalogue's terms, ready to be put to the ledger. */
export interface MetricQuery {
  readonly metric: Metric;
  readonly grain: QueryGrain;
  /** Inclusive, a full hour; undefined means from the beginning. */
  readonly fromMs: number | undefined;
  /** Exclusive, a full hour. */
  readonly toMs: number;
  readonly groupBy: readonly DimensionName[];
  readonly filters: readonly CodeFilter[];
}

/** Cells whose code in this dimension is one of these. */
export interface CodeFilter {
  readonly dimension: DimensionName;
  readonly codes: readonly number[];
}

export interface QueryViolation {
  readonly field: string;
  readonly description: string;
}

const grains: Readonly<Record<number, QueryGrain>> = {
  [Grain.GRAIN_UNSPECIFIED]: 'total',
  [Grain.GRAIN_HOUR]: 'hour',
  [Grain.GRAIN_DAY]: 'day',
  [Grain.GRAIN_WEEK]: 'week',
  [Grain.GRAIN_MONTH]: 'month',
  [Grain.GRAIN_TOTAL]: 'total',
};

/** Where the catalogue's own time begins and ends: what ClickHouse's DateTime holds, cut to whole years. */
const earliestMs = Date.UTC(1970, 0, 1);
const latestMs = Date.UTC(2106, 0, 1);

/**
 * Parses all of a request but its metric id. Answers either the query or every violation there is, with the field's
 * path. Without `to` the query ends after the hour of `nowMs`.
 */
export function parseMetricQuery(
  metric: Metric,
  request: QueryMetricRequest,
  nowMs: number,
): MetricQuery | readonly QueryViolation[] {
  const violations: QueryViolation[] = [];
  const refuse = (field: string, description: string) => violations.push({ field, description });
  const grain = grains[request.grain];
  if (grain === undefined) refuse('grain', 'is not a grain of this version');
  const fromMs = hourOfRequest('from', request.from, refuse);
  const toMs = hourOfRequest('to', request.to, refuse) ?? (Math.floor(nowMs / hourMs) + 1) * hourMs;
  if (fromMs !== undefined && fromMs >= toMs)
    refuse('from', 'must lie before to, which is now unless it is given');
  const groupBy = parseGroupBy(metric, request.dimensions, refuse);
  const filters = request.filters.flatMap((filter, index) =>
    parseFilter(metric, filter, `filters[${index}]`, refuse),
  );
  const query: MetricQuery = { metric, grain: grain ?? 'total', fromMs, toMs, groupBy, filters };
  refuseUnlikeSums(query, refuse);
  return violations.length > 0 ? violations : query;
}

type Refuse = (field: string, description: string) => void;

function hourOfRequest(field: string, time: Date | undefined, refuse: Refuse): number | undefined {
  if (time === undefined) return undefined;
  const timeMs = time.getTime();
  if (!(timeMs >= earliestMs && timeMs < latestMs)) {
    refuse(field, 'must lie between the years 1970 and 2105');
    return undefined;
  }
  if (timeMs % hourMs !== 0) refuse(field, 'must be a full hour, UTC: the cells are hours');
  return timeMs;
}

function parseGroupBy(
  metric: Metric,
  names: readonly string[],
  refuse: Refuse,
): readonly DimensionName[] {
  return names.flatMap((name, index) => {
    const dimension = dimensionOf(metric, name, `dimensions[${index}]`, refuse);
    if (dimension !== undefined && names.indexOf(name) < index) {
      refuse(`dimensions[${index}]`, 'is named twice');
    }
    return dimension ?? [];
  });
}

function parseFilter(
  metric: Metric,
  filter: { readonly dimension: string; readonly values: readonly string[] },
  path: string,
  refuse: Refuse,
): readonly CodeFilter[] {
  const dimension = dimensionOf(metric, filter.dimension, `${path}.dimension`, refuse);
  if (filter.values.length === 0) refuse(`${path}.values`, 'must hold at least one value');
  if (dimension === undefined) return [];
  const codes = filter.values.flatMap((value, index) => {
    const code = codeOf(dimensions[dimension], value);
    if (code === undefined) {
      refuse(
        `${path}.values[${index}]`,
        `is not a value of ${dimension}; the catalogue lists them`,
      );
    }
    return code ?? [];
  });
  return [{ dimension, codes }];
}

// The rule names the metric's dimensions; what the caller wrote is not repeated.
function dimensionOf(
  metric: Metric,
  name: string,
  path: string,
  refuse: Refuse,
): DimensionName | undefined {
  if (isDimensionName(name) && metric.dimensions.includes(name)) return name;
  refuse(path, `must be a dimension of ${metric.id}: ${metric.dimensions.join(', ')}`);
  return undefined;
}

function refuseUnlikeSums({ metric, groupBy, filters }: MetricQuery, refuse: Refuse): void {
  const { needs } = metric;
  if (needs === undefined || groupBy.includes(needs)) return;
  const isOneValue = filters.some(
    ({ dimension, codes }) => dimension === needs && new Set(codes).size === 1,
  );
  if (!isOneValue) {
    refuse(
      'dimensions',
      `must hold ${needs}, or filters name one ${needs}: unlike things do not add up`,
    );
  }
}
