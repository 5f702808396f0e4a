import {
  KeyServiceService,
  type LeasePurpose,
  type ScopeRequest,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Peer } from '../grpc/handler.ts';
import { type Scope, scopeText, type TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { CachedLease, type GrantedKey, type Moment, momentOf } from './cached-lease.ts';
import { callKeys, keysTimeoutMs } from './keys-calls.ts';
import { decodeScopeLease } from './lease-messages.ts';
import type { LeaseRefusal } from './port.ts';

/** One scope's answer, with what came with it. */
export type ScopeAnswer =
  | { readonly kind: 'refused'; readonly refusal: LeaseRefusal }
  /** Revoked while the answer was under way: ask again. */
  | { readonly kind: 'revoked' }
  | GrantedAnswer;

export interface GrantedAnswer {
  readonly kind: 'granted';
  readonly granted: GrantedKey;
  readonly askedAt: Moment;
  readonly ttlMs: number;
  readonly messages: number;
  readonly bytes: bigint;
}

interface Underway {
  readonly tenantId: TenantId;
  readonly revoked: { readonly scope: string; readonly upToIncarnation: number }[];
}

/** Scopes a Lease call may carry; a fraction of the transport's message limit. */
const scopesPerCallMax = 5_000;

export interface LeaseCalls {
  /**
   * An answer per scope, in order. `keep` is given each grant in the same turn in which it was checked against the
   * revocations that came in meanwhile: one that comes later finds the lease in the cache.
   */
  lease(
    tenantId: TenantId,
    purpose: LeasePurpose,
    scopes: readonly ScopeRequest[],
    keep: (answer: GrantedAnswer, index: number) => void,
  ): Promise<readonly ScopeAnswer[]>;
  /** A revocation came in: answers still under way that it concerns are not to be used. */
  revoked(tenantId: TenantId, scope: Scope, upToIncarnation: number): void;
}

export function createLeaseCalls(peer: Peer, holderId: string, clock: Clock): LeaseCalls {
  const underway = new Set<Underway>();
  const callOnce = async (
    tenantId: TenantId,
    purpose: LeasePurpose,
    scopes: readonly ScopeRequest[],
    keep: (answer: GrantedAnswer, index: number) => void,
  ): Promise<readonly ScopeAnswer[]> => {
    const call: Underway = { tenantId, revoked: [] };
    underway.add(call);
    try {
      // The TTL counts from before the request: a slow answer shortens the lease, it never lengthens it.
      const askedAt = momentOf(clock);
      const request = { tenantId, purpose, holderId, scopes: [...scopes] };
      const options = { timeoutMs: keysTimeoutMs };
      const { leases, ttlMs } = await callKeys(
        async () => await peer.unary(KeyServiceService.lease, request, options),
      );
      if (leases.length !== scopes.length) throw new ServiceError('INTERNAL_DEFECT');
      return leases.map((lease, index) => {
        const granted = decodeScopeLease(tenantId, lease);
        if ('granted' in granted) return { kind: 'refused', refusal: granted };
        if (isRevoked(call, granted)) return { kind: 'revoked' };
        const { claimedMessages: messages, claimedBytes: bytes } = lease;
        const answer: GrantedAnswer = { kind: 'granted', granted, askedAt, ttlMs, messages, bytes };
        keep(answer, index);
        return answer;
      });
    } finally {
      underway.delete(call);
    }
  };
  return {
    lease: async (tenantId, purpose, scopes, keep) => {
      const answers: ScopeAnswer[] = [];
      for (let start = 0; start < scopes.length; start += scopesPerCallMax) {
        const part = scopes.slice(start, start + scopesPerCallMax);
        const keepPart = (answer: GrantedAnswer, index: number) => keep(answer, start + index);
        answers.push(...(await callOnce(tenantId, purpose, part, keepPart)));
      }
      return answers;
    },
    revoked: (tenantId, scope, upToIncarnation) => {
      for (const call of underway) {
        if (call.tenantId !== tenantId) continue;
        call.revoked.push({ scope: scopeText(scope), upToIncarnation });
      }
    },
  };
}

function isRevoked(call: Underway, key: GrantedKey): boolean {
  const name = scopeText(key.scope);
  return call.revoked.some(
    (revoked) => revoked.scope === name && key.incarnation <= revoked.upToIncarnation,
  );
}

/** The lease of an answer: the one already held when it is for the same key, else a new one. */
export function leaseOf(
  answer: GrantedAnswer,
  held: CachedLease | undefined,
  clock: Clock,
): CachedLease {
  const { granted, askedAt, ttlMs, messages, bytes } = answer;
  const same = held !== undefined && !held.isEnded && held.keyId.equals(granted.dataKey.keyId);
  const lease = same ? held : new CachedLease(granted, clock, askedAt, ttlMs);
  lease.extend(granted, askedAt, ttlMs, messages, bytes);
  return lease;
}
