import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { createProblems } from '@lethe/platform/grpc/parse-request.ts';
import { tokenBytes } from '@lethe/platform/ids/ids.ts';
import type {
  ResolvePersonsRequest,
  ResolvePersonsResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { personsBehind } from '../domain/persons.ts';
import { requireTenantNumber } from '../fencing.ts';
import { readKnownTokens } from '../store/aliases.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId, parseTokens } from './parsing.ts';

const tokensMax = 10_000;

/** Creates nothing. Throws TENANT_UNKNOWN, INVALID_FIELDS. */
export function resolvePersonsHandler(
  context: KeysContext,
): UnaryHandler<ResolvePersonsRequest, ResolvePersonsResponse> {
  return async (request) => {
    const tenantId = parseTenantId(request.tenantId);
    const problems = createProblems();
    if (request.tokens.length > tokensMax) problems.add('tokens', `at most ${tokensMax}`);
    const tokens = parseTokens(problems, 'tokens', request.tokens);
    problems.refuse();
    const tenantNumber = await requireTenantNumber(context.db, tenantId);
    const known = await readKnownTokens(context.db, tenantNumber, tokens);
    return {
      persons: known.map((token) => ({ personTokens: personsBehind(token).map(tokenBytes) })),
    };
  };
}
