import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type {
  UnreadableStatusRequest,
  UnreadableStatusResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { requireTenantNumber } from '../fencing.ts';
import { findErasure } from '../store/erase-scopes.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId } from './parsing.ts';

/** Throws TENANT_UNKNOWN, ERASURE_UNKNOWN (not fenced here yet), INVALID_FIELDS. */
export function unreadableStatusHandler(
  context: KeysContext,
): UnaryHandler<UnreadableStatusRequest, UnreadableStatusResponse> {
  return async (request) => {
    const tenantId = parseTenantId(request.tenantId);
    const erasureId = parseErasureId(request.erasureId);
    const tenantNumber = await requireTenantNumber(context.db, tenantId);
    const find = () => findErasure(context.db, tenantNumber, erasureId);
    const before = await find();
    if (before === undefined) {
      throw new ServiceError('ERASURE_UNKNOWN', `Erasure ${erasureId} has not been fenced.`);
    }
    if (before.unreadableAtMs === undefined) await context.unreadableClock.look();
    const unreadableAtMs = before.unreadableAtMs ?? (await find())?.unreadableAtMs;
    if (unreadableAtMs !== undefined) {
      return { unreadableAt: new Date(unreadableAtMs), holdersWaiting: 0 };
    }
    const state = context.holders.unreadable(erasureId);
    const holdersWaiting = state?.kind === 'waiting' ? state.holders : 0;
    return { unreadableAt: undefined, holdersWaiting };
  };
}
