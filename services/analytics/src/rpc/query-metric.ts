import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type {
  MetricRow,
  QueryMetricRequest,
  QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { dimensions } from '../domain/dimensions.ts';
import { type MetricQuery, parseMetricQuery } from '../domain/metric-query.ts';
import { findMetric } from '../domain/metrics.ts';
import type { Ledger, LedgerRow } from '../ledger/ledger.ts';

export interface QueryMetricPorts {
  readonly ledger: Pick<Ledger, 'query'>;
  readonly clock: Clock;
  /** Milliseconds since 1970; undefined until known. */
  readonly completeUpToMs: () => number | undefined;
  /** At most so many events of the tenant, recorded before that, are not in the ledger because they are parked. */
  readonly countParked: (tenantId: TenantId) => Promise<bigint>;
  readonly rowsMax: number;
}

/** The caller's own exact figures. The tenant comes from the access token and from nowhere else. */
export function queryMetric(
  ports: QueryMetricPorts,
): UnaryHandler<QueryMetricRequest, QueryMetricResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const metric = findMetric(request.metricId, request.metricVersion);
    if (metric === undefined) throw new ServiceError('METRIC_UNKNOWN');
    const query = parseMetricQuery(metric, request, ports.clock.nowMs());
    if (!('metric' in query)) {
      throw new ServiceError('INVALID_FIELDS', undefined, { violations: query });
    }
    // Read before the rows: what is complete now is complete in an answer that is read later.
    const completeUpToMs = ports.completeUpToMs();
    // Between the two: what is parked below the mark is counted here, or replayed and in the rows.
    const parked = await ports.countParked(tenantId);
    const rows = await ports.ledger.query(tenantId, query, ports.rowsMax);
    return {
      rows: rows.map((row) => metricRow(query, row)),
      completeUpTo: completeUpToMs === undefined ? undefined : new Date(completeUpToMs),
      late: rows.reduce((sum, { late }) => sum + late, 0n),
      metricId: metric.id,
      metricVersion: metric.version,
      parked,
    };
  };
}

function metricRow({ grain, fromMs, groupBy }: MetricQuery, row: LedgerRow): MetricRow {
  // A total has one bucket, which begins where the range does; without a beginning there is none to name.
  const startMs = grain === 'total' ? fromMs : row.bucketMs;
  return {
    bucket: startMs === undefined ? undefined : new Date(startMs),
    dimensions: groupBy.map((name, place) => ({
      dimension: name,
      value: dimensions[name].values[row.codes[place] ?? 0] ?? 'unknown',
    })),
    exact: row.exact,
    accepted: row.accepted,
    exactSum: int64(row.sum),
  };
}

/** The wire has 64 bits; a sum beyond them is refused, as a wrapped one would be a lie. */
function int64(sum: bigint): bigint {
  if (BigInt.asIntN(64, sum) === sum) return sum;
  throw new ServiceError('INTERNAL_DEFECT', 'A sum passes 64 bits. Narrow the range.');
}
