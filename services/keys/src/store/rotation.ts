import { type Kysely, sql } from 'kysely';
import { lockFencesExclusively, lockFencesShared } from '@lethe/platform/database/fence-lock.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { WrappedThing } from '../domain/wrapped.ts';
import { scopeFromBytes } from './columns.ts';
import type { KeysSchema } from './schema.ts';
import { StaleKeyring } from './tenants.ts';

/**
 * Stores a newer tenant key, from which on everything new is wrapped with it: under the exclusive fence lock, so that no
 * transaction that wrapped with the older one is still under way. Answers its number. Throws StaleKeyring when
 * `formerNewest` is not the newest any more: two rotations at once would else give their tenant keys and their KMS
 * versions opposite orders, and one destroy what the other's is wrapped with.
 */
export async function addTenantKey(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
  { tenantNumber, formerNewest }: { tenantNumber: number; formerNewest: number },
  wrapped: Buffer,
  nowMs: number,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    await lockFencesExclusively(tx, 'keys', [tenantId]);
    const updated = await tx
      .updateTable('tenants')
      .set((tenant) => ({ newest_tenant_key: tenant('newest_tenant_key', '+', 1) }))
      .where('tenant_number', '=', tenantNumber)
      .where('newest_tenant_key', '=', formerNewest)
      .returning('newest_tenant_key')
      .executeTakeFirst();
    if (updated === undefined) throw new StaleKeyring();
    const number = updated.newest_tenant_key;
    await tx
      .insertInto('tenant_keys')
      .values({ tenant_number: tenantNumber, number, wrapped, created_at_ms: BigInt(nowMs) })
      .execute();
    return number;
  });
}

/** Deletes every tenant key but the newest, wrapped as they are: they are never wrapped again. */
export async function deleteOlderTenantKeys(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
  tenantNumber: number,
  newest: number,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await lockFencesExclusively(tx, 'keys', [tenantId]);
    await tx
      .deleteFrom('tenant_keys')
      .where('tenant_number', '=', tenantNumber)
      .where('number', '<', newest)
      .execute();
  });
}

/** A wrapped row, and what it is to the tenant key. */
export interface WrappedRow {
  readonly thing: WrappedThing;
  readonly wrapped: Buffer;
  /** Of a data key: where the next page begins, and which row to update. */
  readonly place: DataKeyColumns | undefined;
}

export interface DataKeyColumns {
  readonly scope: Buffer;
  readonly incarnation: number;
  readonly generation: number;
}

/** The data keys behind `after` in the order of their primary key; the first ones without it. */
export async function readDataKeyPage(
  db: Kysely<KeysSchema>,
  tenantNumber: number,
  after: DataKeyColumns | undefined,
  rowsMax: number,
): Promise<readonly (WrappedRow & { readonly place: DataKeyColumns })[]> {
  const behind =
    after === undefined
      ? sql`true`
      : sql`(scope, incarnation, generation) > (${after.scope}, ${after.incarnation}, ${after.generation})`;
  const { rows } = await sql<DataKeyColumns & { wrapped: Buffer }>`
    select scope, incarnation, generation, wrapped from data_keys
    where tenant_number = ${tenantNumber} and ${behind}
    order by scope, incarnation, generation limit ${rowsMax}`.execute(db);
  return rows.map(({ wrapped, ...place }) => ({
    thing: { what: 'data-key', ...place, scope: scopeFromBytes(place.scope) },
    wrapped,
    place,
  }));
}

export interface Rewrapped {
  readonly place: DataKeyColumns;
  readonly before: Buffer;
  readonly after: Buffer;
}

/**
 * Replaces wraps that are still what was read; a row that an erasure deleted meanwhile stays deleted. Under the shared
 * fence lock and in the order of scopes, as leases do it, so that nobody waits in a circle.
 */
export async function replaceDataKeyWraps(
  db: Kysely<KeysSchema>,
  tenantId: TenantId,
  tenantNumber: number,
  rewrapped: readonly Rewrapped[],
): Promise<void> {
  if (rewrapped.length === 0) return;
  await db.transaction().execute(async (tx) => {
    await lockFencesShared(tx, 'keys', [tenantId]);
    await sql`with fresh as (
        select * from unnest(
          ${rewrapped.map(({ place }) => place.scope)}::bytea[],
          ${rewrapped.map(({ place }) => place.incarnation)}::int2[],
          ${rewrapped.map(({ place }) => place.generation)}::int4[],
          ${rewrapped.map(({ before }) => before)}::bytea[],
          ${rewrapped.map(({ after }) => after)}::bytea[]
        ) as wraps (scope, incarnation, generation, before, after)
      ), locked as materialized (
        select fresh.* from fresh join data_keys
          on data_keys.tenant_number = ${tenantNumber} and data_keys.scope = fresh.scope
          and data_keys.incarnation = fresh.incarnation
          and data_keys.generation = fresh.generation
        order by fresh.scope for update of data_keys
      )
      update data_keys set wrapped = locked.after from locked
      where data_keys.tenant_number = ${tenantNumber} and data_keys.scope = locked.scope
        and data_keys.incarnation = locked.incarnation
        and data_keys.generation = locked.generation
        and data_keys.wrapped = locked.before`.execute(tx);
  });
}

/** Token key and contributor keys: few, so in one piece. */
export async function readOtherWraps(
  db: Kysely<KeysSchema>,
  tenantNumber: number,
): Promise<readonly { readonly thing: WrappedThing; readonly wrapped: Buffer }[]> {
  const tenants = await db
    .selectFrom('tenants')
    .where('tenant_number', '=', tenantNumber)
    .select('token_key')
    .execute();
  const months = await db
    .selectFrom('contributor_keys')
    .where('tenant_number', '=', tenantNumber)
    .select(['month', 'wrapped'])
    .execute();
  return [
    ...tenants.map((row) => ({ thing: { what: 'token-key' } as const, wrapped: row.token_key })),
    ...months.map(({ month, wrapped }) => ({
      thing: { what: 'contributor-key', month } as const,
      wrapped,
    })),
  ];
}

/** As replaceDataKeyWraps, for the others: of two rotations at once the slower must not put back its older wrap. */
export async function replaceOtherWrap(
  db: Kysely<KeysSchema>,
  tenantNumber: number,
  thing: Exclude<WrappedThing, { what: 'data-key' }>,
  { before, after }: Omit<Rewrapped, 'place'>,
): Promise<void> {
  if (thing.what === 'token-key') {
    await db
      .updateTable('tenants')
      .set({ token_key: after })
      .where('tenant_number', '=', tenantNumber)
      .where('token_key', '=', before)
      .execute();
    return;
  }
  await db
    .updateTable('contributor_keys')
    .set({ wrapped: after })
    .where('tenant_number', '=', tenantNumber)
    .where('month', '=', thing.month)
    .where('wrapped', '=', before)
    .execute();
}
