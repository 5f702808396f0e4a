import { requireService } from '@lethe/platform/grpc/caller.ts';
import type { ServerStreamHandler } from '@lethe/platform/grpc/handler.ts';
import { encodeScope } from '@lethe/platform/sealing/scope-wire.ts';
import type {
  WatchRevocationsRequest,
  WatchRevocationsResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { KeysContext } from './context.ts';
import { parseHolderId } from './parsing.ts';

/** Registers the holder and pushes until it leaves. Throws INVALID_FIELDS. */
export function watchRevocationsHandler(
  context: KeysContext,
): ServerStreamHandler<WatchRevocationsRequest, WatchRevocationsResponse> {
  return async function* (request, call) {
    const holder = { service: requireService(call), holderId: parseHolderId(request.holderId) };
    for await (const { scopes, ...revocation } of context.holders.watch(holder, call.signal)) {
      yield {
        ...revocation,
        scopes: scopes.map(({ scope, incarnation }) => ({ ...encodeScope(scope), incarnation })),
      };
    }
  };
}
