import { type Kysely, sql, type Transaction } from 'kysely';
import { type Scope, scopeText, type TenantId } from '../ids/ids.ts';

/** A scope was erased up to an incarnation; stands for ever. */
export interface Fence {
  readonly incarnation: number;
  /** What is older belongs to the fenced incarnation. */
  readonly cutOffMs: number;
}

/** Fences by `scopeText`. */
export type Fences = ReadonlyMap<string, Fence>;

/** Creates `fences`; called from a service's own migration. Event owners have it with their other tables. */
export async function createFenceTable<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table fences (
    tenant_id text collate "C" not null, scope text collate "C" not null, incarnation int4 not null,
    cut_off_ms int8 not null, primary key (tenant_id, scope))`.execute(db);
}

/** The fences of these scopes. To be read in a statement after the one that took the fence lock. */
export async function readFences<Schema>(
  tx: Transaction<Schema>,
  tenantId: TenantId,
  scopes: readonly Scope[],
): Promise<Fences> {
  const names = [...new Set(scopes.map(scopeText))];
  const { rows } = await sql<{ scope: string; incarnation: number; cut_off_ms: bigint }>`
    select scope, incarnation, cut_off_ms from fences
    where tenant_id = ${tenantId} and scope = any(${names}::text[])`.execute(tx);
  return new Map(
    rows.map((row) => [
      row.scope,
      { incarnation: row.incarnation, cutOffMs: Number(row.cut_off_ms) },
    ]),
  );
}

/** Raises fences; one that stands higher already stays. */
export async function raiseFences<Schema>(
  tx: Transaction<Schema>,
  tenantId: TenantId,
  fences: readonly (Fence & { readonly scope: Scope })[],
): Promise<void> {
  await sql`
    insert into fences (tenant_id, scope, incarnation, cut_off_ms)
    select ${tenantId}, scope, incarnation, cut_off_ms
    from unnest(${fences.map((fence) => scopeText(fence.scope))}::text[],
      ${fences.map((fence) => fence.incarnation)}::int4[],
      ${fences.map((fence) => fence.cutOffMs)}::int8[]) as raised (scope, incarnation, cut_off_ms)
    on conflict (tenant_id, scope) do update set
      incarnation = greatest(fences.incarnation, excluded.incarnation),
      cut_off_ms = greatest(fences.cut_off_ms, excluded.cut_off_ms)`.execute(tx);
}
