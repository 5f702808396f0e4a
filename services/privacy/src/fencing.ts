import { KeyServiceService, type FenceResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { consumersOf } from '@lethe/proto/topics.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Peer } from '@lethe/platform/grpc/handler.ts';
import { tokenBytes } from '@lethe/platform/ids/ids.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import type { Erasure, Fence, FencedScope } from './domain/erasure.ts';
import { privacyTopic } from './privacy-events.ts';

const callTimeoutMs = 10_000;

function fencedScopeOf({
  kind,
  token,
  incarnation,
  cutOff,
}: FenceResponse['scopes'][number]): FencedScope {
  const scope = parseScope(kind, token);
  if (scope === undefined || scope.kind === 'facts' || cutOff === undefined) {
    throw new ServiceError('INTERNAL_DEFECT', 'keys answered a fence with a scope that cannot be');
  }
  return { ...scope, incarnation, cutOffMs: cutOff.getTime() };
}

/**
 * Has `keys` fence the erasure's persons and every ticket they own, and destroy the keys. Idempotent by erasure id:
 * if this process dies before it stores the answer, the repeat gets the same one and touches nothing. The services
 * obliged are those that read privacy.v1 now.
 */
export async function fence(keys: Peer, erasure: Erasure, signal?: AbortSignal): Promise<Fence> {
  const request = {
    tenantId: erasure.tenantId,
    erasureId: erasure.erasureId,
    personTokens: erasure.personTokens.map(tokenBytes),
    ticketTokens: [],
    cutOff: new Date(erasure.requestedAtMs),
  };
  const options = { timeoutMs: callTimeoutMs, ...(signal === undefined ? {} : { signal }) };
  const answer = await keys.unary(KeyServiceService.fence, request, options);
  if (answer.fencedAt === undefined) {
    throw new ServiceError('INTERNAL_DEFECT', 'keys answered a fence without its time');
  }
  return {
    scopes: answer.scopes.map(fencedScopeOf),
    keysDestroyed: answer.keysDestroyed,
    fencedAtMs: answer.fencedAt.getTime(),
    obliged: consumersOf(privacyTopic),
  };
}

/** From when on no holder had a destroyed key any more; undefined while one may. */
export async function unreadableSince(
  keys: Peer,
  { tenantId, erasureId }: Erasure,
  signal: AbortSignal,
): Promise<number | undefined> {
  const request = { tenantId, erasureId };
  const answer = await keys.unary(KeyServiceService.unreadableStatus, request, {
    timeoutMs: callTimeoutMs,
    signal,
  });
  return answer.unreadableAt?.getTime();
}
