import { type Kysely, sql } from 'kysely';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import {
  type Claim,
  kibPerKeyMax,
  messagesPerKeyMax,
  type NewestKey,
} from '../domain/generations.ts';
import { minuteOf, minuteToMs, type Owner, ownerBytes, ownerFromBytes } from './columns.ts';
import type { KeysSchema } from './schema.ts';

/** The newest data key of a scope, with what a lease needs. */
export interface NewestRow extends NewestKey {
  readonly wrapped: Buffer;
  readonly owner: Owner | undefined;
  /** The first living generation of the same incarnation: the digest key comes from it. */
  readonly first: { readonly generation: number; readonly wrapped: Buffer };
}

/** By hex of the scope column; scopes without a key are absent. */
export async function readNewest(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  scopes: readonly Buffer[],
): Promise<ReadonlyMap<string, NewestRow>> {
  if (scopes.length === 0) return new Map();
  const { rows } = await sql<{
    scope: Buffer;
    incarnation: number;
    generation: number;
    claimed_messages: number;
    claimed_kib: number;
    created_minute: number;
    wrapped: Buffer;
    owner: Buffer;
    first_generation: number;
    first_wrapped: Buffer;
  }>`select asked.scope, newest.*, earliest.*
    from unnest(${scopes}::bytea[]) as asked (scope)
    cross join lateral (
      select incarnation, generation, claimed_messages, claimed_kib, created_minute, wrapped, owner
      from data_keys
      where tenant_number = ${tenantNumber} and data_keys.scope = asked.scope
      order by incarnation desc, generation desc limit 1) as newest
    cross join lateral (
      select generation as first_generation, wrapped as first_wrapped
      from data_keys
      where tenant_number = ${tenantNumber} and data_keys.scope = asked.scope
        and data_keys.incarnation = newest.incarnation
      order by generation limit 1) as earliest`.execute(tx);
  return new Map(
    rows.map((row) => [
      row.scope.toString('hex'),
      {
        incarnation: row.incarnation,
        generation: row.generation,
        claimedMessages: row.claimed_messages,
        claimedKib: row.claimed_kib,
        createdAtMs: minuteToMs(row.created_minute),
        wrapped: row.wrapped,
        owner: ownerFromBytes(row.owner),
        first: { generation: row.first_generation, wrapped: row.first_wrapped },
      },
    ]),
  );
}

export interface ClaimRow extends Claim {
  readonly scope: Buffer;
  readonly incarnation: number;
  readonly generation: number;
}

/**
 * Adds claims to the rows before anyone is handed them, so that the caps hold whatever restarts: a claim that is lost
 * with its holder is never given again. Answers the scopes (hex) whose claim fitted; another transaction may have taken
 * the room. Rows are locked in the order of their scopes, so that two batches do not wait for each other in a circle.
 */
export async function addClaims(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  claims: readonly ClaimRow[],
): Promise<ReadonlySet<string>> {
  if (claims.length === 0) return new Set();
  const { rows } = await sql<{ scope: Buffer }>`
    with asked as (
      select * from unnest(
        ${claims.map(({ scope }) => scope)}::bytea[],
        ${claims.map(({ incarnation }) => incarnation)}::int2[],
        ${claims.map(({ generation }) => generation)}::int4[],
        ${claims.map(({ messages }) => messages)}::int4[],
        ${claims.map(({ kib }) => kib)}::int4[]
      ) as claims (scope, incarnation, generation, messages, kib)
    ), locked as materialized (
      select asked.* from asked join data_keys
        on data_keys.tenant_number = ${tenantNumber} and data_keys.scope = asked.scope
        and data_keys.incarnation = asked.incarnation and data_keys.generation = asked.generation
      order by asked.scope for update of data_keys
    )
    update data_keys set
      claimed_messages = data_keys.claimed_messages + locked.messages,
      claimed_kib = data_keys.claimed_kib + locked.kib
    from locked
    where data_keys.tenant_number = ${tenantNumber} and data_keys.scope = locked.scope
      and data_keys.incarnation = locked.incarnation
      and data_keys.generation = locked.generation
      and data_keys.claimed_messages + locked.messages <= ${messagesPerKeyMax}
      and data_keys.claimed_kib + locked.kib <= ${kibPerKeyMax}
    returning data_keys.scope`.execute(tx);
  return new Set(rows.map(({ scope }) => scope.toString('hex')));
}

export interface NewRow extends ClaimRow {
  readonly createdAtMs: number;
  readonly keyIdStart: number;
  readonly wrapped: Buffer;
  readonly owner: Owner | undefined;
}

/**
 * Inserts data keys; answers the scopes (hex) that were. Another transaction may have inserted the same generation
 * first: then its key counts and this one's was never used. Sorted for the same reason as in addClaims.
 */
export async function insertDataKeys(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  rows: readonly NewRow[],
): Promise<ReadonlySet<string>> {
  if (rows.length === 0) return new Set();
  const inserted = await tx
    .insertInto('data_keys')
    .values(
      rows
        .toSorted((a, b) => Buffer.compare(a.scope, b.scope))
        .map((row) => ({
          tenant_number: tenantNumber,
          scope: row.scope,
          incarnation: row.incarnation,
          generation: row.generation,
          claimed_messages: row.messages,
          claimed_kib: row.kib,
          created_minute: minuteOf(row.createdAtMs),
          key_id_start: row.keyIdStart,
          wrapped: row.wrapped,
          owner: row.owner === undefined ? Buffer.alloc(0) : ownerBytes(row.owner),
        })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning('scope')
    .execute();
  return new Set(inserted.map(({ scope }) => scope.toString('hex')));
}

export interface OpenAsk {
  readonly scope: Scope;
  readonly incarnation: number;
  /** 16 bytes. */
  readonly keyId: Buffer;
}

/** A data key that may be the one asked for: its id starts alike. */
export interface CandidateRow {
  readonly generation: number;
  readonly wrapped: Buffer;
  readonly owner: Owner | undefined;
  readonly first: { readonly generation: number; readonly wrapped: Buffer };
}

export interface CandidateAsk {
  readonly scope: Buffer;
  readonly incarnation: number;
  readonly keyIdStart: number;
}

/** Candidates per ask, in order. */
export async function readCandidates(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  asks: readonly CandidateAsk[],
): Promise<readonly (readonly CandidateRow[])[]> {
  if (asks.length === 0) return [];
  const { rows } = await sql<{
    place: bigint;
    generation: number;
    wrapped: Buffer;
    owner: Buffer;
    first_generation: number;
    first_wrapped: Buffer;
  }>`select asked.place, found.generation, found.wrapped, found.owner, earliest.*
    from unnest(
      ${asks.map(({ scope }) => scope)}::bytea[],
      ${asks.map(({ incarnation }) => incarnation)}::int4[],
      ${asks.map((ask) => ask.keyIdStart)}::int2[]
    ) with ordinality as asked (scope, incarnation, key_id_start, place)
    join data_keys as found on found.tenant_number = ${tenantNumber}
      and found.scope = asked.scope and found.incarnation = asked.incarnation
      and found.key_id_start = asked.key_id_start
    cross join lateral (
      select generation as first_generation, wrapped as first_wrapped
      from data_keys
      where tenant_number = ${tenantNumber} and data_keys.scope = asked.scope
        and data_keys.incarnation = asked.incarnation
      order by generation limit 1) as earliest`.execute(tx);
  const byPlace = Map.groupBy(rows, (row) => Number(row.place));
  return asks.map((_, index) =>
    (byPlace.get(index + 1) ?? []).map((row) => ({
      generation: row.generation,
      wrapped: row.wrapped,
      owner: ownerFromBytes(row.owner),
      first: { generation: row.first_generation, wrapped: row.first_wrapped },
    })),
  );
}
