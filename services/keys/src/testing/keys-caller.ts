import { encodeScope } from '@lethe/platform/sealing/scope-wire.ts';
import type { Scope, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { tokenBytes } from '@lethe/platform/ids/ids.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import {
  FenceRequest,
  type FenceResponse,
  KeyServiceService,
  LeasePurpose,
  type LeaseResponse,
  ReturningPersons,
  type ScopeLease,
  ScopeRequest,
  type WatchRevocationsResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { RunningKeys } from './keys-under-test.ts';

export interface SealWish {
  readonly scope: Scope;
  readonly aliases?: readonly Token[];
  readonly owner?: { readonly token: Token; readonly incarnation: number };
  readonly messages?: number;
  readonly bytes?: number;
}

export interface OpenWish {
  readonly scope: Scope;
  readonly incarnation: number;
  readonly keyId: Uint8Array;
}

/** Bare calls to `keys` as one registered holder of a service makes them. */
export interface KeysCaller {
  readonly holderId: string;
  /** What has been pushed so far, without the message that says "registered". */
  readonly pushed: readonly WatchRevocationsResponse[];
  register(): Promise<void>;
  /** Breaks the watch. */
  leave(): void;
  seal(...wishes: readonly SealWish[]): Promise<readonly ScopeLease[]>;
  open(...wishes: readonly OpenWish[]): Promise<readonly ScopeLease[]>;
  acknowledge(revocationId: bigint): Promise<void>;
}

export function createKeysCaller(
  keys: RunningKeys,
  service: ServiceName,
  tenantId: TenantId,
  holderId = `${service}-1`,
): KeysCaller {
  const peer = keys.peersOf(service)('keys');
  const pushed: WatchRevocationsResponse[] = [];
  let leaving = new AbortController();
  const lease = (purpose: LeasePurpose, scopes: ScopeRequest[]): Promise<LeaseResponse> =>
    peer.unary(KeyServiceService.lease, { tenantId, purpose, holderId, scopes });
  return {
    holderId,
    pushed,
    register: async () => {
      leaving = new AbortController();
      const registered = Promise.withResolvers<void>();
      const { signal } = leaving;
      const watch = peer.serverStream(KeyServiceService.watchRevocations, { holderId }, { signal });
      const read = async (): Promise<void> => {
        for await (const message of watch) {
          if (message.revocationId === 0n) registered.resolve();
          else pushed.push(message);
        }
      };
      read().catch(registered.reject);
      await registered.promise;
    },
    leave: () => leaving.abort(),
    seal: async (...wishes) =>
      (await lease(LeasePurpose.LEASE_PURPOSE_SEAL, wishes.map(encodeSealWish))).leases,
    open: async (...wishes) =>
      (await lease(LeasePurpose.LEASE_PURPOSE_OPEN, wishes.map(encodeOpenWish))).leases,
    acknowledge: async (revocationId) => {
      await peer.unary(KeyServiceService.acknowledgeRevocation, { holderId, revocationId });
    },
  };
}

function encodeSealWish({ scope, aliases, owner, messages, bytes }: SealWish): ScopeRequest {
  return ScopeRequest.fromPartial({
    ...encodeScope(scope),
    aliasTokens: (aliases ?? []).map(tokenBytes),
    ...(owner === undefined
      ? {}
      : {
          createTicket: true,
          ownerToken: tokenBytes(owner.token),
          ownerIncarnation: owner.incarnation,
        }),
    claimMessages: messages ?? 1,
    claimBytes: BigInt(bytes ?? 1024),
  });
}

function encodeOpenWish({ scope, incarnation, keyId }: OpenWish): ScopeRequest {
  return ScopeRequest.fromPartial({
    ...encodeScope(scope),
    incarnation,
    keyId: Buffer.from(keyId),
  });
}

/** As `privacy` registers a tenant. */
export async function createTenant(
  keys: RunningKeys,
  tenantId: TenantId,
  returningPersons: ReturningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW,
): Promise<void> {
  const request = { tenantId, returningPersons };
  await keys.peersOf('privacy')('keys').unary(KeyServiceService.createTenant, request);
}

export interface FenceWish {
  readonly tenantId: TenantId;
  readonly erasureId: string;
  readonly persons?: readonly Token[];
  readonly tickets?: readonly Token[];
  readonly cutOffMs: number;
}

/** As `privacy` has an erasure fenced. */
export async function fence(keys: RunningKeys, wish: FenceWish): Promise<FenceResponse> {
  const request = FenceRequest.fromPartial({
    tenantId: wish.tenantId,
    erasureId: wish.erasureId,
    personTokens: (wish.persons ?? []).map(tokenBytes),
    ticketTokens: (wish.tickets ?? []).map(tokenBytes),
    cutOff: new Date(wish.cutOffMs),
  });
  return keys.peersOf('privacy')('keys').unary(KeyServiceService.fence, request);
}
