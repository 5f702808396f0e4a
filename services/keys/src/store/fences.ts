import { type Kysely, sql } from 'kysely';
import type { Fence } from '../domain/generations.ts';
import type { KeysSchema } from './schema.ts';

/** Fences by hex of the scope column. */
export type FencesByScope = ReadonlyMap<string, Fence>;

/** Read in a statement after the one that took the fence lock: the lock's own statement saw the time before it. */
export async function readFences(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  scopes: readonly Buffer[],
): Promise<FencesByScope> {
  if (scopes.length === 0) return new Map();
  const rows = await tx
    .selectFrom('fences')
    .where('tenant_number', '=', tenantNumber)
    .where('scope', '=', sql<Buffer>`any(${scopes}::bytea[])`)
    .select(['scope', 'incarnation', 'cut_off_ms'])
    .execute();
  return new Map(
    rows.map((row) => [
      row.scope.toString('hex'),
      { incarnation: row.incarnation, cutOffMs: Number(row.cut_off_ms) },
    ]),
  );
}

export interface FenceRow extends Fence {
  readonly scope: Buffer;
}

/** Raises fences and never lowers one: a replayed erasure cannot take back a later one. */
export async function raiseFences(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  fences: readonly FenceRow[],
): Promise<void> {
  if (fences.length === 0) return;
  await sql`insert into fences (tenant_number, scope, incarnation, cut_off_ms)
    select ${tenantNumber}, scope, incarnation, cut_off_ms
    from unnest(
      ${fences.map(({ scope }) => scope)}::bytea[],
      ${fences.map(({ incarnation }) => incarnation)}::int4[],
      ${fences.map(({ cutOffMs }) => BigInt(cutOffMs))}::int8[]
    ) as raised (scope, incarnation, cut_off_ms)
    on conflict (tenant_number, scope) do update set
      incarnation = greatest(fences.incarnation, excluded.incarnation),
      cut_off_ms = greatest(fences.cut_off_ms, excluded.cut_off_ms)`.execute(tx);
}
