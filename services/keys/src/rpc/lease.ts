import { requireService } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import { encodeScope } from '@lethe/platform/sealing/scope-wire.ts';
import {
  type LeaseRequest,
  type LeaseResponse,
  LeaseStatus,
  type ScopeLease,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { Fence } from '../domain/generations.ts';
import {
  digestKeyOf,
  openDataKey,
  openDataKeyWithId,
  type OpenedDataKey,
} from '../hierarchy/data-keys.ts';
import type { TenantKeyring } from '../hierarchy/tenant-keyring.ts';
import type { CandidateRow, OpenAsk } from '../store/data-keys.ts';
import { leaseOpenKeys, type OpenAnswer } from '../store/open-keys.ts';
import {
  leaseSealKeys,
  type SealAnswer,
  type SealAsk,
  type StoredKey,
} from '../store/seal-keys.ts';
import { type ParsedLease, parseLease } from './lease-request.ts';
import type { KeysContext } from './context.ts';

/** Throws KEYS_CATCHING_UP, HOLDER_UNREGISTERED, SCOPE_NOT_ALLOWED, TENANT_UNKNOWN, INVALID_FIELDS. */
export function leaseHandler(context: KeysContext): UnaryHandler<LeaseRequest, LeaseResponse> {
  return async (request, call) => {
    context.catchUp.require();
    const service = requireService(call);
    const lease = parseLease(request, service);
    // Before anything is read: whatever is issued ends within a TTL from here.
    context.holders.noteLease({ service, holderId: lease.holderId });
    const leases = await context.keyrings.use(lease.tenantId, (keyring) =>
      leaseAll(context, keyring, lease),
    );
    return { leases, ttlMs: context.leaseTtlMs };
  };
}

async function leaseAll(
  { db, clock, randomBytes }: KeysContext,
  keyring: TenantKeyring,
  lease: ParsedLease,
): Promise<ScopeLease[]> {
  if (lease.purpose === 'open') {
    const answers = await leaseOpenKeys(db, keyring, lease.asks);
    return lease.asks.map((ask, index) => openLease(keyring, ask, answers[index]));
  }
  const input = { keyring, asks: lease.asks, nowMs: clock.nowMs(), randomBytes };
  const answers = await leaseSealKeys(db, input);
  return lease.asks.map((ask, index) => sealLease(keyring, ask, answers[index]));
}

const refusalStatus = {
  erased: LeaseStatus.LEASE_STATUS_ERASED,
  unknown_ticket: LeaseStatus.LEASE_STATUS_UNKNOWN_TICKET,
  unknown_key: LeaseStatus.LEASE_STATUS_UNKNOWN_KEY,
  owner_fenced: LeaseStatus.LEASE_STATUS_OWNER_FENCED,
} as const;

const nothing = Buffer.alloc(0);

function refusal(
  status: keyof typeof refusalStatus,
  scope: Scope,
  fence: Fence | undefined,
): ScopeLease {
  return {
    ...encodeScope(scope),
    status: refusalStatus[status],
    incarnation: fence?.incarnation ?? 0,
    generation: 0,
    keyId: nothing,
    dataKey: nothing,
    digestKey: nothing,
    ownerToken: nothing,
    ownerIncarnation: 0,
    fenceCutOff: cutOffOf(scope, fence),
    claimedMessages: 0,
    claimedBytes: 0n,
  };
}

function cutOffOf(scope: Scope, fence: Fence | undefined): Date | undefined {
  return scope.kind === 'person' && fence !== undefined ? new Date(fence.cutOffMs) : undefined;
}

type KeyRow = Pick<StoredKey, 'generation' | 'owner' | 'first'>;

function granted(
  keyring: TenantKeyring,
  place: { readonly scope: Scope; readonly incarnation: number },
  row: KeyRow,
  opened: OpenedDataKey,
): ScopeLease {
  const { first, owner, generation } = row;
  const firstKey =
    first.generation === generation
      ? opened
      : openDataKey(keyring, { ...place, generation: first.generation }, first.wrapped);
  return {
    ...refusal('unknown_key', place.scope, undefined),
    status: LeaseStatus.LEASE_STATUS_GRANTED,
    incarnation: place.incarnation,
    generation,
    keyId: opened.keyId,
    dataKey: opened.secretBytes,
    digestKey: digestKeyOf(firstKey),
    ownerToken: owner === undefined ? nothing : Buffer.from(owner.token, 'hex'),
    ownerIncarnation: owner?.incarnation ?? 0,
  };
}

function sealLease(
  keyring: TenantKeyring,
  ask: SealAsk,
  answer: SealAnswer | undefined,
): ScopeLease {
  if (answer === undefined) throw new RangeError('an ask was left without an answer');
  const { scope, fence, outcome } = answer;
  if (outcome.kind === 'refuse') return refusal(outcome.status, scope, fence);
  const { incarnation, generation, wrapped } = outcome.key;
  const opened = openDataKey(keyring, { scope, incarnation, generation }, wrapped);
  return {
    ...granted(keyring, { scope, incarnation }, outcome.key, opened),
    fenceCutOff: cutOffOf(scope, fence),
    claimedMessages: ask.claim.messages,
    claimedBytes: BigInt(ask.claim.kib) * 1024n,
  };
}

function openLease(
  keyring: TenantKeyring,
  { scope, incarnation, keyId }: OpenAsk,
  answer: OpenAnswer | undefined,
): ScopeLease {
  if (answer === undefined) throw new RangeError('an ask was left without an answer');
  const { fence, outcome } = answer;
  if (outcome.kind === 'refuse') return refusal(outcome.status, scope, fence);
  const found = findByKeyId(keyring, { scope, incarnation, keyId }, outcome.candidates);
  if (found === undefined) return refusal('unknown_key', scope, undefined);
  const lease = granted(keyring, { scope, incarnation }, found.row, found.opened);
  return { ...lease, fenceCutOff: cutOffOf(scope, fence) };
}

function findByKeyId(
  keyring: TenantKeyring,
  { scope, incarnation, keyId }: OpenAsk,
  candidates: readonly CandidateRow[],
): { readonly row: CandidateRow; readonly opened: OpenedDataKey } | undefined {
  for (const row of candidates) {
    const place = { scope, incarnation, generation: row.generation };
    const opened = openDataKeyWithId(keyring, place, row.wrapped, keyId);
    if (opened !== undefined) return { row, opened };
  }
  return undefined;
}
