import { requireService } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  AcknowledgeRevocationRequest,
  AcknowledgeRevocationResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { KeysContext } from './context.ts';
import { parseHolderId } from './parsing.ts';

/** Idempotent; an unknown revocation is one that nobody waits for any more. Throws INVALID_FIELDS. */
export function acknowledgeRevocationHandler(
  context: KeysContext,
): UnaryHandler<AcknowledgeRevocationRequest, AcknowledgeRevocationResponse> {
  return async (request, call) => {
    const holder = { service: requireService(call), holderId: parseHolderId(request.holderId) };
    context.holders.acknowledge(holder, request.revocationId);
    context.unreadableClock.wake();
    return {};
  };
}
