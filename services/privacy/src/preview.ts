import type { ServiceName } from '@lethe/proto/access.ts';
import {
  ErasureParticipantServiceService,
  type PreviewErasureResponse,
} from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { ErasurePreview } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { consumersOf } from '@lethe/proto/topics.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { type TenantId, type Token, tokenBytes } from '@lethe/platform/ids/ids.ts';
import { privacyTopic } from './privacy-events.ts';

const callTimeoutMs = 10_000;

/** Who holds data of erased scopes; `keys` holds keys alone and is asked on its own. */
function participants(): readonly ServiceName[] {
  return consumersOf(privacyTopic).filter((service) => service !== 'keys');
}

/** What erasing these persons would remove, by service. Changes nothing. */
export async function previewErasure(
  peers: Peers,
  tenantId: TenantId,
  personTokens: readonly Token[],
  signal: AbortSignal,
): Promise<ErasurePreview> {
  const options = { signal, timeoutMs: callTimeoutMs };
  const fence = await peers('keys').unary(
    KeyServiceService.previewFence,
    { tenantId, personTokens: personTokens.map(tokenBytes), ticketTokens: [] },
    options,
  );
  const scopes = fence.scopes.map(({ kind, token, incarnation }) => ({ kind, token, incarnation }));
  const ask = async (service: ServiceName): Promise<PreviewErasureResponse> =>
    await peers(service).unary(
      ErasureParticipantServiceService.previewErasure,
      { tenantId, scopes },
      options,
    );
  const answers = await Promise.all(participants().map(ask));
  const tickets = scopes.filter(({ kind }) => kind === ScopeKind.SCOPE_KIND_TICKET);
  const keysPreview = { service: 'keys', records: 0n, rows: 0n, boxesUnreadable: 0n };
  return {
    personTokens: [...personTokens],
    tickets: BigInt(tickets.length),
    services: [
      ...answers.map((answer) => ({ ...answer, keys: 0n })),
      { ...keysPreview, keys: BigInt(fence.keysToDestroy) },
    ],
  };
}
