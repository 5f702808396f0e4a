import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  LeaseContributorKeyRequest,
  LeaseContributorKeyResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { openMonths } from '../domain/months.ts';
import { leaseContributorKey } from '../store/contributor-keys.ts';
import type { KeysContext } from './context.ts';
import { parseHolderId, parseTenantId } from './parsing.ts';

/** Empty for a closed month and for one that lies ahead. Throws KEYS_CATCHING_UP, TENANT_UNKNOWN, INVALID_FIELDS. */
export function leaseContributorKeyHandler(
  context: KeysContext,
): UnaryHandler<LeaseContributorKeyRequest, LeaseContributorKeyResponse> {
  const { db, clock, randomBytes, leaseTtlMs, monthGraceMs } = context;
  return async (request) => {
    context.catchUp.require();
    const tenantId = parseTenantId(request.tenantId);
    parseHolderId(request.holderId);
    const { month } = request;
    const contributorKey = await context.keyrings.use(tenantId, async (keyring) =>
      openMonths(clock.nowMs(), monthGraceMs).includes(month)
        ? leaseContributorKey(db, keyring, month, randomBytes)
        : Buffer.alloc(0),
    );
    return { contributorKey, ttlMs: leaseTtlMs };
  };
}
