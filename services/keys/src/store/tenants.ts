import { type Kysely, sql, type Transaction } from 'kysely';
import { lockFencesShared } from '@lethe/platform/database/fence-lock.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { TenantKeyring } from '../hierarchy/tenant-keyring.ts';
import type { KeysSchema } from './schema.ts';

export interface StoredTenant {
  readonly tenantNumber: number;
  readonly newestTenantKey: number;
  /** Wrapped by the KMS, newest first. */
  readonly tenantKeys: readonly { readonly number: number; readonly wrapped: Buffer }[];
}

export interface NewTenant {
  readonly tenantId: TenantId;
  readonly mayReturn: boolean;
  readonly wrappedTenantKey: Buffer;
  readonly wrappedTokenKey: Buffer;
  readonly nowMs: number;
}

/** Undefined when the tenant was never created. One statement, so that a rotation cannot come between two. */
export async function findTenant(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
): Promise<StoredTenant | undefined> {
  const rows = await db
    .selectFrom('tenants')
    .innerJoin('tenant_keys', 'tenant_keys.tenant_number', 'tenants.tenant_number')
    .where('tenant_id', '=', tenantId)
    .orderBy('number', 'desc')
    .select(['tenants.tenant_number', 'newest_tenant_key', 'number', 'wrapped'])
    .execute();
  const [first] = rows;
  if (first === undefined) return undefined;
  return {
    tenantNumber: first.tenant_number,
    newestTenantKey: first.newest_tenant_key,
    tenantKeys: rows.map(({ number, wrapped }) => ({ number, wrapped })),
  };
}

/** False when another call has created the tenant meanwhile; then nothing is stored. */
export async function insertTenant(db: Kysely<KeysSchema>, tenant: NewTenant): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const inserted = await tx
      .insertInto('tenants')
      .values({
        tenant_id: tenant.tenantId,
        may_return: tenant.mayReturn,
        newest_tenant_key: 1,
        token_key: tenant.wrappedTokenKey,
      })
      .onConflict((conflict) => conflict.column('tenant_id').doNothing())
      .returning('tenant_number')
      .executeTakeFirst();
    if (inserted === undefined) return false;
    await tx
      .insertInto('tenant_keys')
      .values({
        tenant_number: inserted.tenant_number,
        number: 1,
        wrapped: tenant.wrappedTenantKey,
        created_at_ms: BigInt(tenant.nowMs),
      })
      .execute();
    return true;
  });
}

export async function setMayReturn(
  tx: Transaction<KeysSchema>,
  tenantId: TenantId,
  mayReturn: boolean,
): Promise<void> {
  await tx
    .updateTable('tenants')
    .set({ may_return: mayReturn })
    .where('tenant_id', '=', tenantId)
    .execute();
}

export async function findTenantNumber(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('tenants')
    .where('tenant_id', '=', tenantId)
    .select('tenant_number')
    .executeTakeFirst();
  return row?.tenant_number;
}

/** The tenant that was created first and the one that was created last; none in a new store. */
export async function findOldestAndNewest(db: Kysely<KeysSchema>): Promise<readonly TenantId[]> {
  const { rows } = await sql<{ tenant_id: TenantId }>`
    select tenant_id from tenants where tenant_number in (
      select min(tenant_number) from tenants union select max(tenant_number) from tenants)
    order by tenant_number`.execute(db);
  return rows.map((row) => row.tenant_id);
}

/** A rotation has given the tenant a newer tenant key than this process had in memory: load it and begin again. */
export class StaleKeyring extends Error {
  override readonly name = 'StaleKeyring';
}

/** The tenant as a transaction sees it. */
export interface LockedTenant {
  readonly mayReturn: boolean;
  readonly wrappedTokenKey: Buffer;
}

/**
 * Begins a transaction that issues keys: takes the tenant's fence lock shared and sees that the keyring in memory wraps
 * with the newest tenant key, which a rotation changes under the exclusive lock. Throws StaleKeyring.
 */
export async function lockTenantShared(
  tx: Transaction<KeysSchema>,
  keyring: TenantKeyring,
): Promise<LockedTenant> {
  await lockFencesShared(tx, 'keys', [keyring.tenantId]);
  const row = await tx
    .selectFrom('tenants')
    .where('tenant_number', '=', keyring.tenantNumber)
    .select(['newest_tenant_key', 'may_return', 'token_key'])
    .executeTakeFirst();
  if (row === undefined || row.newest_tenant_key !== keyring.newestNumber) throw new StaleKeyring();
  return { mayReturn: row.may_return, wrappedTokenKey: row.token_key };
}
