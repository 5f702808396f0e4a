import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { createProblems } from '@lethe/platform/grpc/parse-request.ts';
import type {
  PreviewFenceRequest,
  PreviewFenceResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { encodeFencedScope, previewErasure } from '../fencing.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId, parseTokens } from './parsing.ts';

/** Changes nothing; the cut-off is now. Throws KEYS_CATCHING_UP, TENANT_UNKNOWN, INVALID_FIELDS. */
export function previewFenceHandler(
  context: KeysContext,
): UnaryHandler<PreviewFenceRequest, PreviewFenceResponse> {
  return async (request) => {
    context.catchUp.require();
    const tenantId = parseTenantId(request.tenantId);
    const problems = createProblems();
    const persons = parseTokens(problems, 'person_tokens', request.personTokens);
    const tickets = parseTokens(problems, 'ticket_tokens', request.ticketTokens);
    problems.refuse();
    const nowMs = context.clock.nowMs();
    const order = { tenantId, persons, tickets, cutOffMs: nowMs, nowMs };
    const { scopes, keys } = await previewErasure(context.db, order);
    return { scopes: scopes.map(encodeFencedScope), keysToDestroy: keys };
  };
}
