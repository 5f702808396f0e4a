import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { createProblems, parseErasureId } from '@lethe/platform/grpc/parse-request.ts';
import type { FenceRequest, FenceResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { fenceErasure } from '../fencing.ts';
import type { KeysContext } from './context.ts';
import { parseTenantId, parseTokens } from './parsing.ts';

/**
 * Fences, destroys, answers; revocations follow. Not before privacy.v1 is read to its end: a restored store would
 * fence an incarnation that the log has fenced already, and leave the living one. Throws KEYS_CATCHING_UP,
 * TENANT_UNKNOWN, INVALID_FIELDS.
 */
export function fenceHandler(context: KeysContext): UnaryHandler<FenceRequest, FenceResponse> {
  return async (request) => {
    context.catchUp.require();
    const order = { ...parseFence(request), nowMs: context.clock.nowMs() };
    const answer = await context.db.transaction().execute((tx) => fenceErasure(tx, order));
    // If the process dies here, the unreadable clock finds the erasure after the restart and pushes.
    context.unreadableClock.wake();
    return answer;
  };
}

function parseFence(request: FenceRequest) {
  const tenantId = parseTenantId(request.tenantId);
  const erasureId = parseErasureId(request.erasureId);
  const problems = createProblems();
  const persons = parseTokens(problems, 'person_tokens', request.personTokens);
  const tickets = parseTokens(problems, 'ticket_tokens', request.ticketTokens);
  const cutOff = request.cutOff;
  if (cutOff === undefined) problems.add('cut_off', 'is required');
  problems.refuse();
  return { tenantId, erasureId, persons, tickets, cutOffMs: cutOff?.getTime() ?? 0 };
}
