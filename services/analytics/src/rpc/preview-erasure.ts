import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  PreviewErasureRequest,
  PreviewErasureResponse,
} from '@lethe/proto/gen/lethe/erasure/v1/service.ts';

/**
 * Always nothing: an erasure removes no row here. Analytics has no topic and no box of its own, the ledger has no
 * subject column, and a person's contribution counters are marked full, not removed, so that a replay of the log
 * accepts nothing more. Whose they are only `keys` can say, and only for an erasure that was accepted.
 */
export function previewErasure(): UnaryHandler<PreviewErasureRequest, PreviewErasureResponse> {
  return async () => ({ service: 'analytics', records: 0n, rows: 0n, boxesUnreadable: 0n });
}
