import type { ErasureId, TenantId } from '@lethe/platform/ids/ids.ts';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Erasure, Receipt } from './domain/erasure.ts';
import { decodeErasure, encodeErasure, encodeReceipt, type ErasureRow } from './erasure-row.ts';
import type { PrivacySchema } from './schema.ts';

type Db = Kysely<PrivacySchema>;
type Tx = Transaction<PrivacySchema>;

/** An erasure with the number of events that its stream has. */
export interface StoredErasure {
  readonly erasure: Erasure;
  readonly events: number;
}

async function withReceipts(db: Db, rows: readonly ErasureRow[]): Promise<StoredErasure[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.erasure_id);
  const receipts = await db
    .selectFrom('erasure_receipts')
    .select(['erasure_id', 'receipt'])
    .where('erasure_id', 'in', ids)
    .orderBy('service')
    .execute();
  return rows.map((row) => {
    const own = receipts.filter((receipt) => receipt.erasure_id === row.erasure_id);
    const erasure = decodeErasure(
      row,
      own.map(({ receipt }) => receipt),
    );
    return { erasure, events: row.events };
  });
}

/** Whichever tenant it belongs to. */
export async function readErasure(db: Db, erasureId: ErasureId): Promise<Erasure | undefined> {
  const rows = await db
    .selectFrom('erasures')
    .selectAll()
    .where('erasure_id', '=', erasureId)
    .execute();
  const [stored] = await withReceipts(db, rows);
  return stored?.erasure;
}

/** Locks the erasure until the transaction ends. */
export async function lockErasure(
  tx: Tx,
  erasureId: ErasureId,
): Promise<StoredErasure | undefined> {
  const rows = await tx
    .selectFrom('erasures')
    .selectAll()
    .where('erasure_id', '=', erasureId)
    .forUpdate()
    .execute();
  const [stored] = await withReceipts(tx, rows);
  return stored;
}

/** False when there is one with this id already. */
export async function insertErasure(tx: Tx, { erasure, events }: StoredErasure): Promise<boolean> {
  const inserted = await tx
    .insertInto('erasures')
    .values(encodeErasure(erasure, events))
    .onConflict((conflict) => conflict.column('erasure_id').doNothing())
    .returning('erasure_id')
    .execute();
  return inserted.length === 1;
}

/** Writes a locked erasure, without its receipts. */
export async function updateErasure(tx: Tx, { erasure, events }: StoredErasure): Promise<void> {
  await tx
    .updateTable('erasures')
    .set(encodeErasure(erasure, events))
    .where('erasure_id', '=', erasure.erasureId)
    .execute();
}

export async function insertReceipt(tx: Tx, erasureId: ErasureId, receipt: Receipt): Promise<void> {
  await tx
    .insertInto('erasure_receipts')
    .values({ erasure_id: erasureId, service: receipt.service, receipt: encodeReceipt(receipt) })
    .execute();
}

/** Ids of erasures that are not completed, oldest first. */
export async function openErasureIds(db: Db): Promise<ErasureId[]> {
  const rows = await db
    .selectFrom('erasures')
    .select('erasure_id')
    .where('is_open', '=', true)
    .orderBy('requested_at_ms')
    .execute();
  return rows.map((row) => row.erasure_id as ErasureId);
}

/** A place in the list of a tenant's erasures. */
export interface ErasurePlace {
  readonly requestedAtMs: number;
  readonly erasureId: ErasureId;
}

/** At most `rowsMax` erasures of a tenant, newest first, that come after `after`. */
export async function erasuresOf(
  db: Db,
  tenantId: TenantId,
  after: ErasurePlace | undefined,
  rowsMax: number,
): Promise<Erasure[]> {
  let query = db
    .selectFrom('erasures')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('requested_at_ms', 'desc')
    .orderBy('erasure_id', 'desc')
    .limit(rowsMax);
  if (after !== undefined) {
    query = query.where(
      sql<boolean>`(requested_at_ms, erasure_id) < (${BigInt(after.requestedAtMs)}, ${after.erasureId})`,
    );
  }
  const stored = await withReceipts(db, await query.execute());
  return stored.map(({ erasure }) => erasure);
}
