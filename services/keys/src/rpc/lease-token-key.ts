import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  LeaseTokenKeyRequest,
  LeaseTokenKeyResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { lockTenantShared } from '../store/tenants.ts';
import type { KeysContext } from './context.ts';
import { parseHolderId, parseTenantId } from './parsing.ts';

/** Throws KEYS_CATCHING_UP, TENANT_UNKNOWN, INVALID_FIELDS. */
export function leaseTokenKeyHandler(
  context: KeysContext,
): UnaryHandler<LeaseTokenKeyRequest, LeaseTokenKeyResponse> {
  return async (request) => {
    context.catchUp.require();
    const tenantId = parseTenantId(request.tenantId);
    parseHolderId(request.holderId);
    const tokenKey = await context.keyrings.use(tenantId, async (keyring) => {
      const { wrappedTokenKey } = await context.db
        .transaction()
        .execute((tx) => lockTenantShared(tx, keyring));
      return keyring.requireUnwrapped({ what: 'token-key' }, wrappedTokenKey);
    });
    return { tokenKey, ttlMs: context.leaseTtlMs };
  };
}
