import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  GetPlatformTotalsRequest,
  GetPlatformTotalsResponse,
  PlatformTotal,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { metrics } from '../domain/metrics.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface GetPlatformTotalsPorts {
  readonly ledger: Pick<Ledger, 'total'>;
  readonly countTenants: () => Promise<number>;
  /** Milliseconds since 1970; undefined until known. */
  readonly completeUpToMs: () => number | undefined;
  /** At most so many events, recorded before that, are not in the ledger because they are parked. */
  readonly countParked: () => Promise<bigint>;
}

/** An operator's view over all tenants: exact, so never for anybody but the platform's own admins. */
export function getPlatformTotals(
  ports: GetPlatformTotalsPorts,
): UnaryHandler<GetPlatformTotalsRequest, GetPlatformTotalsResponse> {
  return async () => {
    // Read before the totals: what is complete now is complete in an answer that is read later.
    const completeUpToMs = ports.completeUpToMs();
    const parked = await ports.countParked();
    const totals: PlatformTotal[] = [];
    for (const metric of metrics) {
      const { exact, accepted } = await ports.ledger.total(metric);
      totals.push({ metricId: metric.id, metricVersion: metric.version, exact, accepted });
    }
    return {
      totals,
      completeUpTo: completeUpToMs === undefined ? undefined : new Date(completeUpToMs),
      tenants: await ports.countTenants(),
      parked,
    };
  };
}
