import { type Kysely, sql } from 'kysely';
import type { ErasureId, Scope, Token } from '@lethe/platform/ids/ids.ts';
import { type Fence, incarnationToFence } from '../domain/generations.ts';
import { type Owner, ownerBytes, scopeBytes, scopeFromBytes } from './columns.ts';
import { type FenceRow, raiseFences, readFences } from './fences.ts';
import type { KeysSchema } from './schema.ts';

export interface ScopesToErase {
  readonly persons: readonly Token[];
  readonly tickets: readonly Token[];
}

/** A scope with the fence that an erasure puts before it. */
export interface FencedScope extends Fence {
  readonly scope: Scope;
}

/**
 * What an erasure fences, in the order of its answer: the persons, then the named tickets and every ticket that the
 * persons own; each kind ascending by token. Persons are fenced up to their living incarnation, tickets for ever.
 */
export async function scopesToFence(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  { persons, tickets }: ScopesToErase,
  cutOffMs: number,
): Promise<readonly FencedScope[]> {
  const personScopes = sortedScopes('person', persons);
  const fences = await readFences(tx, tenantNumber, personScopes.map(scopeBytes));
  const fencedPersons = personScopes.map((scope) => ({
    scope,
    incarnation: incarnationToFence(fences.get(scopeBytes(scope).toString('hex'))),
    cutOffMs,
  }));
  const owned = await readOwnedTickets(
    tx,
    tenantNumber,
    fencedPersons.map(({ scope, incarnation }) => ({ token: scope.token, incarnation })),
  );
  const fencedTickets = sortedScopes('ticket', [...tickets, ...owned]).map((scope) => ({
    scope,
    incarnation: 1,
    cutOffMs,
  }));
  return [...fencedPersons, ...fencedTickets];
}

type TokenScope<Kind> = { readonly kind: Kind; readonly token: Token };

function sortedScopes<Kind extends 'person' | 'ticket'>(
  kind: Kind,
  tokens: readonly Token[],
): readonly TokenScope<Kind>[] {
  return [...new Set(tokens)].toSorted().map((token) => ({ kind, token }));
}

/** Tickets of these owners, of their incarnations up to the given one. */
async function readOwnedTickets(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  owners: readonly Owner[],
): Promise<readonly Token[]> {
  if (owners.length === 0) return [];
  const { rows } = await sql<{ scope: Buffer }>`
    select distinct data_keys.scope
    from unnest(
      ${owners.map((owner) => ownerBytes({ ...owner, incarnation: 0 }))}::bytea[],
      ${owners.map(ownerBytes)}::bytea[]
    ) as owners (lowest, highest)
    join data_keys on data_keys.tenant_number = ${tenantNumber} and data_keys.owner <> ''::bytea
      and data_keys.owner between owners.lowest and owners.highest`.execute(tx);
  return rows.map(({ scope }) => {
    const ticket = scopeFromBytes(scope);
    if (ticket.kind !== 'ticket') throw new RangeError('only tickets have owners');
    return ticket.token;
  });
}

function toRow({ scope, incarnation, cutOffMs }: FencedScope): FenceRow {
  return { scope: scopeBytes(scope), incarnation, cutOffMs };
}

function scopeColumns(scopes: readonly FencedScope[]) {
  const bytes = scopes.map(({ scope }) => scopeBytes(scope));
  return sql`unnest(
    ${bytes}::bytea[],
    ${scopes.map(({ incarnation }) => incarnation)}::int4[]
  ) as fenced (scope, incarnation)`;
}

/** How many data keys `destroyKeys` would delete. */
export async function countKeys(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  scopes: readonly FencedScope[],
): Promise<number> {
  const { rows } = await sql<{ keys: bigint }>`select count(*) as keys
    from ${scopeColumns(scopes)}
    join data_keys on data_keys.tenant_number = ${tenantNumber}
      and data_keys.scope = fenced.scope and data_keys.incarnation <= fenced.incarnation`.execute(
    tx,
  );
  return Number(rows[0]?.keys ?? 0n);
}

/**
 * Raises the fences and deletes every data key at or below them, and with it the digest key; answers how many. To be
 * run under the exclusive fence lock: no lease is issued between the two.
 */
export async function fenceAndDestroy(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  scopes: readonly FencedScope[],
): Promise<number> {
  await raiseFences(tx, tenantNumber, scopes.map(toRow));
  const { rows } = await sql<{ keys: bigint }>`with destroyed as (
      delete from data_keys using ${scopeColumns(scopes)}
      where data_keys.tenant_number = ${tenantNumber}
        and data_keys.scope = fenced.scope and data_keys.incarnation <= fenced.incarnation
      returning 1)
    select count(*) as keys from destroyed`.execute(tx);
  return Number(rows[0]?.keys ?? 0n);
}

export interface StoredErasure {
  readonly fencedAtMs: number;
  readonly keysDestroyed: number;
  /** Encoded FenceResponse. */
  readonly answer: Buffer;
  readonly unreadableAtMs: number | undefined;
}

export async function findErasure(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  erasureId: ErasureId,
): Promise<StoredErasure | undefined> {
  const row = await tx
    .selectFrom('erasures')
    .where('tenant_number', '=', tenantNumber)
    .where('erasure_id', '=', erasureId)
    .selectAll()
    .executeTakeFirst();
  return row === undefined
    ? undefined
    : {
        fencedAtMs: Number(row.fenced_at_ms),
        keysDestroyed: row.keys_destroyed,
        answer: row.answer,
        unreadableAtMs: row.unreadable_at_ms === null ? undefined : Number(row.unreadable_at_ms),
      };
}

export async function storeErasure(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  erasureId: ErasureId,
  erasure: Omit<StoredErasure, 'unreadableAtMs'>,
): Promise<void> {
  await tx
    .insertInto('erasures')
    .values({
      tenant_number: tenantNumber,
      erasure_id: erasureId,
      fenced_at_ms: BigInt(erasure.fencedAtMs),
      keys_destroyed: erasure.keysDestroyed,
      answer: erasure.answer,
      unreadable_at_ms: null,
    })
    .execute();
}

/** The first moment stands: a repeat changes nothing. Answers the one that stands. */
export async function storeUnreadable(
  db: Kysely<KeysSchema>,
  tenantNumber: number,
  erasureId: ErasureId,
  unreadableAtMs: number,
): Promise<void> {
  await db
    .updateTable('erasures')
    .set({ unreadable_at_ms: BigInt(unreadableAtMs) })
    .where('tenant_number', '=', tenantNumber)
    .where('erasure_id', '=', erasureId)
    .where('unreadable_at_ms', 'is', null)
    .execute();
}
