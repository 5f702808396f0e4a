import { type Kysely, sql, type Transaction } from 'kysely';
import { ErasureReceipt } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { ErasureId, TenantId } from '../ids/ids.ts';

/** One service's statement of what an erasure did there. */
export interface Receipt {
  readonly erasureId: ErasureId;
  readonly receipt: ErasureReceipt;
}

/** A stored receipt that privacy may not have yet. */
export interface UnsentReceipt extends Receipt {
  readonly tenantId: TenantId;
}

/** Creates `receipts`; called from the service's own migration. */
export async function createReceiptTables<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table receipts (
    erasure_id text primary key,
    tenant_id text not null,
    receipt bytea not null,
    sent boolean not null default false)`.execute(db);
  await sql`create index receipts_unsent on receipts (erasure_id) where not sent`.execute(db);
}

/**
 * Stores the receipt in the transaction that finishes the erasure here; the first one stands, a repeat changes
 * nothing. If the process dies after the commit, the sender finds the row.
 */
export async function storeReceipt<Schema>(
  tx: Transaction<Schema>,
  tenantId: TenantId,
  { erasureId, receipt }: Receipt,
): Promise<void> {
  const encoded = ErasureReceipt.encode(receipt).finish();
  await sql`insert into receipts (erasure_id, tenant_id, receipt)
    values (${erasureId}, ${tenantId}, ${encoded}) on conflict (erasure_id) do nothing`.execute(tx);
}

/** Receipts that privacy has not confirmed, at most `rowsMax`, by erasure id; those that come after `after`. */
export async function unsentReceipts<Schema>(
  db: Kysely<Schema>,
  rowsMax: number,
  after = '',
): Promise<UnsentReceipt[]> {
  const { rows } = await sql<{ erasure_id: ErasureId; tenant_id: TenantId; receipt: Buffer }>`
    select erasure_id, tenant_id, receipt from receipts
    where not sent and erasure_id > ${after}
    order by erasure_id limit ${rowsMax}`.execute(db);
  return rows.map((row) => ({
    erasureId: row.erasure_id,
    tenantId: row.tenant_id,
    receipt: ErasureReceipt.decode(row.receipt),
  }));
}

export async function markReceiptSent<Schema>(
  db: Kysely<Schema>,
  erasureId: ErasureId,
): Promise<void> {
  await sql`update receipts set sent = true where erasure_id = ${erasureId}`.execute(db);
}
