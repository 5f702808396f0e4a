import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';

/** What resolving needs of the key client. */
export type PersonResolver = Pick<KeyClient, 'tokens' | 'resolvePersons'>;

/** Any one id of a person, as an officer knows it. */
export type PersonId =
  | { readonly kind: 'natural-id'; readonly value: string }
  | { readonly kind: 'email'; readonly value: string }
  | { readonly kind: 'phone'; readonly value: string }
  | { readonly kind: 'token'; readonly value: Token };

async function tokensOf(
  resolver: PersonResolver,
  tenantId: TenantId,
  id: PersonId,
): Promise<readonly Token[]> {
  if (id.kind === 'token') return [id.value];
  const maker = await resolver.tokens(tenantId);
  // The id that the help desk uses, or one of the person's ids in other systems.
  if (id.kind === 'natural-id') return [maker.person(id.value), maker.alias('id', id.value)];
  return [maker.alias(id.kind, id.value)];
}

/** The persons of the tenant who have this id: canonical tokens, ascending; several when they share it. */
export async function resolvePersons(
  resolver: PersonResolver,
  tenantId: TenantId,
  id: PersonId,
): Promise<readonly Token[]> {
  const tokens = await tokensOf(resolver, tenantId, id);
  const resolved = await resolver.resolvePersons(tenantId, tokens);
  return [...new Set(resolved.flat())].toSorted();
}
