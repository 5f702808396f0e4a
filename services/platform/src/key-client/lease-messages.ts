import { createSecretKey } from 'node:crypto';
import {
  LeaseStatus,
  type ScopeLease,
  type ScopeRequest,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type TenantId, tokenBytes, tokenFromBytes } from '../ids/ids.ts';
import { createDataKey } from '../sealing/data-key.ts';
import { encodeScope, parseScope } from '../sealing/scope-wire.ts';
import type { GrantedKey } from './cached-lease.ts';
import type { LeaseRefusal, OpenRequest, SealRequest } from './port.ts';

const nothing = Buffer.alloc(0);

/** What a holder wants to be allowed to seal on top of what it has, and for which key it has something. */
export interface ClaimWanted {
  readonly messages: number;
  readonly bytes: bigint;
  readonly heldKeyId: Buffer | undefined;
}

export function encodeSealRequest(request: SealRequest, claim: ClaimWanted): ScopeRequest {
  return {
    ...encodeScope(request.scope),
    aliasTokens: (request.aliases ?? []).map(tokenBytes),
    ownerToken: request.createFor === undefined ? nothing : tokenBytes(request.createFor.token),
    ownerIncarnation: request.createFor?.incarnation ?? 0,
    createTicket: request.createFor !== undefined,
    keyId: nothing,
    incarnation: 0,
    claimMessages: claim.messages,
    claimBytes: claim.bytes,
    heldKeyId: claim.heldKeyId ?? nothing,
  };
}

export function encodeOpenRequest(request: OpenRequest): ScopeRequest {
  return {
    ...encodeScope(request.scope),
    aliasTokens: [],
    ownerToken: nothing,
    ownerIncarnation: 0,
    createTicket: false,
    keyId: Buffer.from(request.keyId),
    incarnation: request.incarnation,
    claimMessages: 0,
    claimBytes: 0n,
    heldKeyId: nothing,
  };
}

/** What keys answered for one scope. Throws KEY_COMMITMENT_MISMATCH, and INTERNAL_DEFECT for an answer of no form. */
export function decodeScopeLease(tenantId: TenantId, lease: ScopeLease): GrantedKey | LeaseRefusal {
  const scope = parseScope(lease.kind, lease.token);
  if (scope === undefined) throw formless();
  const status = refusals[lease.status];
  if (status !== undefined) {
    return { granted: false, status, scope, incarnation: lease.incarnation };
  }
  if (lease.status !== LeaseStatus.LEASE_STATUS_GRANTED) throw formless();
  return {
    tenantId,
    scope,
    incarnation: lease.incarnation,
    dataKey: createDataKey(lease.dataKey, lease.keyId),
    digestKey: createSecretKey(lease.digestKey),
    owner:
      lease.ownerToken.length === 0
        ? undefined
        : { token: tokenFromBytes(lease.ownerToken), incarnation: lease.ownerIncarnation },
    fenceCutOffMs: lease.fenceCutOff?.getTime(),
  };
}

const refusals: Partial<Record<LeaseStatus, LeaseRefusal['status']>> = {
  [LeaseStatus.LEASE_STATUS_ERASED]: 'erased',
  [LeaseStatus.LEASE_STATUS_UNKNOWN_TICKET]: 'unknown_ticket',
  [LeaseStatus.LEASE_STATUS_UNKNOWN_KEY]: 'unknown_key',
  [LeaseStatus.LEASE_STATUS_OWNER_FENCED]: 'owner_fenced',
};

function formless(): ServiceError {
  return new ServiceError('INTERNAL_DEFECT', 'The keys service answered a lease of no known form.');
}
