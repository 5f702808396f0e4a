import type { Kysely } from 'kysely';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { TenantKeyring } from '../hierarchy/tenant-keyring.ts';
import type { KeysSchema } from './schema.ts';
import { lockTenantShared } from './tenants.ts';

/** The month's contributor key, made when there is none; 32 bytes. Throws StaleKeyring. */
export async function leaseContributorKey(
  db: Kysely<KeysSchema>,
  keyring: TenantKeyring,
  month: number,
  randomBytes: RandomBytes,
): Promise<Buffer> {
  const wrapped = await db.transaction().execute(async (tx) => {
    await lockTenantShared(tx, keyring);
    const found = await readContributorKeys(tx, keyring.tenantNumber, [month]);
    if (found[0] !== undefined) return found[0].wrapped;
    const made = keyring.wrap({ what: 'contributor-key', month }, randomBytes(32));
    const inserted = await tx
      .insertInto('contributor_keys')
      .values({ tenant_number: keyring.tenantNumber, month, wrapped: made })
      .onConflict((conflict) => conflict.doNothing())
      .returning('wrapped')
      .executeTakeFirst();
    if (inserted !== undefined) return inserted.wrapped;
    const [other] = await readContributorKeys(tx, keyring.tenantNumber, [month]);
    if (other === undefined) throw new RangeError('a conflicting contributor key has vanished');
    return other.wrapped;
  });
  return keyring.requireUnwrapped({ what: 'contributor-key', month }, wrapped);
}

/** Those that exist, ascending by month. */
export async function readContributorKeys(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  months: readonly number[],
): Promise<readonly { readonly month: number; readonly wrapped: Buffer }[]> {
  return tx
    .selectFrom('contributor_keys')
    .where('tenant_number', '=', tenantNumber)
    .where('month', 'in', [...months])
    .orderBy('month')
    .select(['month', 'wrapped'])
    .execute();
}

/** Destroys the keys of all months before this one, of all tenants; answers how many. */
export async function destroyContributorKeysBefore(
  db: Kysely<KeysSchema>,
  month: number,
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('contributor_keys')
    .where('month', '<', month)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
