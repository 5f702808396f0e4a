import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import {
  type CreateTenantRequest,
  type CreateTenantResponse,
  ReturningPersons,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId } from './parsing.ts';

/**
 * Idempotent. The policy of a tenant that exists is left as it is: changes of it arrive in order by the log.
 * Throws KEYS_UNAVAILABLE when the KMS cannot be reached.
 */
export function createTenantHandler(
  context: KeysContext,
): UnaryHandler<CreateTenantRequest, CreateTenantResponse> {
  return async (request) => {
    const tenantId = parseTenantId(request.tenantId);
    const mayReturn = request.returningPersons !== ReturningPersons.RETURNING_PERSONS_REFUSE;
    await context.keyrings.create(tenantId, mayReturn);
    return {};
  };
}
