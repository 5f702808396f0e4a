import { type Kysely, sql } from 'kysely';
import { type Token, tokenBytes, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import type { KnownToken } from '../domain/persons.ts';
import { scopeBytes } from './columns.ts';
import type { KeysSchema } from './schema.ts';

/** What is known of each token, in order. */
export async function readKnownTokens(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  tokens: readonly Token[],
): Promise<KnownToken[]> {
  if (tokens.length === 0) return [];
  const { rows } = await sql<{ place: bigint; person: Buffer | null; is_person: boolean }>`
    select asked.place, aliases.person,
      exists (select from data_keys
        where data_keys.tenant_number = ${tenantNumber} and data_keys.scope = asked.scope)
      or exists (select from fences
        where fences.tenant_number = ${tenantNumber} and fences.scope = asked.scope) as is_person
    from unnest(
      ${tokens.map((token) => tokenBytes(token))}::bytea[],
      ${tokens.map((token) => scopeBytes({ kind: 'person', token }))}::bytea[]
    ) with ordinality as asked (token, scope, place)
    left join aliases on aliases.tenant_number = ${tenantNumber} and aliases.alias = asked.token
    order by asked.place, aliases.person`.execute(tx);
  const byPlace = Map.groupBy(rows, (row) => Number(row.place));
  return tokens.map((token, index) => {
    const found = byPlace.get(index + 1) ?? [];
    return {
      token,
      isPerson: found[0]?.is_person ?? false,
      aliasOf: found.flatMap(({ person }) => (person === null ? [] : [tokenFromBytes(person)])),
    };
  });
}

export interface Alias {
  readonly alias: Token;
  readonly person: Token;
}

/** Sorted, so that two calls that register the same aliases do not wait for each other in a circle. */
export async function registerAliases(
  tx: Kysely<KeysSchema>,
  tenantNumber: number,
  aliases: readonly Alias[],
): Promise<void> {
  const sorted = aliases
    .filter(({ alias, person }) => alias !== person)
    .toSorted((a, b) => (a.alias + a.person < b.alias + b.person ? -1 : 1));
  if (sorted.length === 0) return;
  await sql`insert into aliases (tenant_number, alias, person)
    select ${tenantNumber}, alias, person from unnest(
      ${sorted.map(({ alias }) => tokenBytes(alias))}::bytea[],
      ${sorted.map(({ person }) => tokenBytes(person))}::bytea[]
    ) as registered (alias, person)
    on conflict do nothing`.execute(tx);
}
