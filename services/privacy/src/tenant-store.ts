import type { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Kysely, Transaction } from 'kysely';
import type { PrivacySchema } from './schema.ts';

/** How a tenant wants its data treated. */
export interface TenantSettings {
  readonly region: string;
  readonly retentionDays: number;
  readonly returningPersons: ReturningPersons;
}

export interface Tenant {
  readonly tenantId: TenantId;
  readonly settings: TenantSettings;
  /** Undefined while its keys are being made. */
  readonly registeredAtMs: number | undefined;
}

function tenantOf(row: PrivacySchema['tenants']): Tenant {
  return {
    tenantId: row.tenant_id as TenantId,
    settings: {
      region: row.region,
      retentionDays: row.retention_days,
      returningPersons: row.returning_persons as ReturningPersons,
    },
    registeredAtMs: row.registered_at_ms === null ? undefined : Number(row.registered_at_ms),
  };
}

export async function readTenant(
  db: Kysely<PrivacySchema>,
  tenantId: TenantId,
): Promise<Tenant | undefined> {
  const row = await db
    .selectFrom('tenants')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst();
  return row === undefined ? undefined : tenantOf(row);
}

/** Claims the id with these settings unless it is taken; answers whoever has it. */
export async function claimTenant(
  db: Kysely<PrivacySchema>,
  tenantId: TenantId,
  settings: TenantSettings,
): Promise<Tenant> {
  await db
    .insertInto('tenants')
    .values({
      tenant_id: tenantId,
      region: settings.region,
      retention_days: settings.retentionDays,
      returning_persons: settings.returningPersons,
      registered_at_ms: null,
    })
    .onConflict((conflict) => conflict.column('tenant_id').doNothing())
    .execute();
  const tenant = await readTenant(db, tenantId);
  if (tenant === undefined) throw new RangeError('a tenant row vanished');
  return tenant;
}

/** False when another call has registered it meanwhile. */
export async function markRegistered(
  tx: Transaction<PrivacySchema>,
  tenantId: TenantId,
  registeredAtMs: number,
): Promise<boolean> {
  const updated = await tx
    .updateTable('tenants')
    .set({ registered_at_ms: BigInt(registeredAtMs) })
    .where('tenant_id', '=', tenantId)
    .where('registered_at_ms', 'is', null)
    .returning('tenant_id')
    .execute();
  return updated.length === 1;
}

/** At most `rowsMax` registered tenants by id, after `after`. */
export async function tenantsAfter(
  db: Kysely<PrivacySchema>,
  after: string,
  rowsMax: number,
): Promise<Tenant[]> {
  const rows = await db
    .selectFrom('tenants')
    .selectAll()
    .where('registered_at_ms', 'is not', null)
    .where('tenant_id', '>', after)
    .orderBy('tenant_id')
    .limit(rowsMax)
    .execute();
  return rows.map(tenantOf);
}
