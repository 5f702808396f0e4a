import type { Kysely, Transaction } from 'kysely';
import { lockFencesExclusively, lockFencesShared } from '@lethe/platform/database/fence-lock.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ErasureId, TenantId } from '@lethe/platform/ids/ids.ts';
import { encodeScope, parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import { FenceResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import {
  countKeys,
  fenceAndDestroy,
  type FencedScope,
  findErasure,
  scopesToFence,
  type ScopesToErase,
  storeErasure,
} from './store/erase-scopes.ts';
import type { KeysSchema } from './store/schema.ts';
import { findTenantNumber } from './store/tenants.ts';

export interface FenceOrder extends ScopesToErase {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  readonly cutOffMs: number;
  /** When the transaction runs. */
  readonly nowMs: number;
}

/** Throws TENANT_UNKNOWN. */
export async function requireTenantNumber(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
): Promise<number> {
  const number = await findTenantNumber(db, tenantId);
  if (number !== undefined) return number;
  throw new ServiceError('TENANT_UNKNOWN', `Tenant ${tenantId} is not registered.`);
}

/**
 * Fences and destroys inside the caller's transaction, which holds nothing else but its checkpoint. If the process dies
 * before the commit, nothing happened and the log or the caller asks again; after it, the stored answer is what every
 * repeat gets. The unreadable clock pushes revocations of what is committed.
 */
export async function fenceErasure(
  tx: Transaction<KeysSchema>,
  order: FenceOrder,
): Promise<FenceResponse> {
  const { tenantId, erasureId, nowMs } = order;
  await lockFencesExclusively(tx, 'keys', [tenantId]);
  const tenantNumber = await requireTenantNumber(tx, tenantId);
  const before = await findErasure(tx, tenantNumber, erasureId);
  if (before !== undefined) return FenceResponse.decode(before.answer);
  const scopes = await scopesToFence(tx, tenantNumber, order, order.cutOffMs);
  return storeFenced(tx, { tenantNumber, erasureId, scopes, nowMs });
}

interface ListToFence {
  readonly tenantNumber: number;
  readonly erasureId: ErasureId;
  readonly scopes: readonly FencedScope[];
  readonly nowMs: number;
}

async function storeFenced(
  tx: Transaction<KeysSchema>,
  { tenantNumber, erasureId, scopes, nowMs }: ListToFence,
): Promise<FenceResponse> {
  const keysDestroyed = await fenceAndDestroy(tx, tenantNumber, scopes);
  const answer: FenceResponse = {
    scopes: scopes.map(encodeFencedScope),
    keysDestroyed,
    fencedAt: new Date(nowMs),
  };
  await storeErasure(tx, tenantNumber, erasureId, {
    fencedAtMs: nowMs,
    keysDestroyed,
    answer: Buffer.from(FenceResponse.encode(answer).finish()),
  });
  return answer;
}

export interface ErasedOrder {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  /** The list that `keys` once answered, from the log. */
  readonly scopes: readonly FencedScope[];
  readonly nowMs: number;
}

/**
 * Makes a store that was restored from a copy as forgetful as the log: raises the listed fences, destroys what lies
 * below them, and stores the list as the erasure's answer when there is none. In a store that was never restored this
 * finds nothing to do.
 */
export async function ensureErased(
  tx: Transaction<KeysSchema>,
  { tenantId, erasureId, scopes, nowMs }: ErasedOrder,
): Promise<FenceResponse> {
  await lockFencesExclusively(tx, 'keys', [tenantId]);
  const tenantNumber = await requireTenantNumber(tx, tenantId);
  const before = await findErasure(tx, tenantNumber, erasureId);
  if (before === undefined) return storeFenced(tx, { tenantNumber, erasureId, scopes, nowMs });
  // What the restored store fenced by itself may be less than the list: tickets that the copy did not have.
  await fenceAndDestroy(tx, tenantNumber, scopes);
  return FenceResponse.decode(before.answer);
}

/** What `fenceErasure` would do, changing nothing. */
export async function previewErasure(
  db: Kysely<KeysSchema>,
  order: Omit<FenceOrder, 'erasureId'>,
): Promise<{ readonly scopes: readonly FencedScope[]; readonly keys: number }> {
  return db.transaction().execute(async (tx) => {
    await lockFencesShared(tx, 'keys', [order.tenantId]);
    const tenantNumber = await requireTenantNumber(tx, order.tenantId);
    const scopes = await scopesToFence(tx, tenantNumber, order, order.cutOffMs);
    return { scopes, keys: await countKeys(tx, tenantNumber, scopes) };
  });
}

export function encodeFencedScope({ scope, incarnation, cutOffMs }: FencedScope) {
  return { ...encodeScope(scope), incarnation, cutOff: new Date(cutOffMs) };
}

/** The list that an answer carries. */
export function scopesOf(answer: FenceResponse): readonly FencedScope[] {
  return answer.scopes.map(({ kind, token, incarnation, cutOff }) => {
    const scope = parseScope(kind, token);
    if (scope === undefined || cutOff === undefined) {
      throw new ServiceError('INTERNAL_DEFECT', 'a stored fence answer does not parse');
    }
    return { scope, incarnation, cutOffMs: cutOff.getTime() };
  });
}
