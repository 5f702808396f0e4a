import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { countErased } from '@lethe/platform/parking/store.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import type {
  PreviewErasureRequest,
  PreviewErasureResponse,
} from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import { topicsOfKind } from '../projection/analytics-parking.ts';
import type { AnalyticsDatabase } from '../store.ts';

/**
 * Nothing but what is parked: an erasure removes no row of the ledger. Analytics has no topic and no box of its own, the
 * ledger has no subject column, and a person's contribution counters are marked full, not removed, so that a replay of
 * the log accepts nothing more. Whose they are only `keys` can say, and only for an erasure that was accepted.
 */
export function previewErasure(
  db: AnalyticsDatabase,
): UnaryHandler<PreviewErasureRequest, PreviewErasureResponse> {
  return async ({ tenantId, scopes }) => {
    const erased = scopes.flatMap(({ kind, token, incarnation }) => {
      const scope = parseScope(kind, token);
      if (scope !== undefined) return scope.kind === 'facts' ? [] : [{ ...scope, incarnation }];
      throw new ServiceError('INVALID_FIELDS', 'a scope of no known kind', {
        violations: [{ field: 'scopes', description: 'must name a kind and a token of 16 bytes' }],
      });
    });
    let rows = 0n;
    for (const kind of ['ticket', 'person'] as const) {
      const streams = erased.filter((scope) => scope.kind === kind);
      rows += await countErased(db, tenantId, topicsOfKind(kind), streams);
    }
    return { service: 'analytics', records: 0n, rows, boxesUnreadable: 0n };
  };
}
