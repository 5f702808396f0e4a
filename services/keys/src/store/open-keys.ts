import type { Kysely } from 'kysely';
import type { Fence } from '../domain/generations.ts';
import type { TenantKeyring } from '../hierarchy/tenant-keyring.ts';
import { keyIdStart, scopeBytes } from './columns.ts';
import { type CandidateRow, type OpenAsk, readCandidates } from './data-keys.ts';
import { readFences } from './fences.ts';
import type { KeysSchema } from './schema.ts';
import { lockTenantShared } from './tenants.ts';

export interface OpenAnswer {
  readonly fence: Fence | undefined;
  readonly outcome:
    | { readonly kind: 'refuse'; readonly status: 'erased' }
    /** Stored data keys of which one may be the right one; none for an unknown key. */
    | { readonly kind: 'candidates'; readonly candidates: readonly CandidateRow[] };
}

/**
 * The data keys named by boxes, in one transaction under the shared fence lock: an answer per ask, in order. A fence
 * speaks before the absence of a key does. Throws StaleKeyring.
 */
export async function leaseOpenKeys(
  db: Kysely<KeysSchema>,
  keyring: TenantKeyring,
  asks: readonly OpenAsk[],
): Promise<readonly OpenAnswer[]> {
  return db.transaction().execute(async (tx) => {
    await lockTenantShared(tx, keyring);
    const scopes = asks.map(({ scope }) => scopeBytes(scope));
    const fences = await readFences(tx, keyring.tenantNumber, scopes);
    const candidates = await readCandidates(
      tx,
      keyring.tenantNumber,
      asks.map(({ scope, incarnation, keyId }) => ({
        scope: scopeBytes(scope),
        incarnation,
        keyIdStart: keyIdStart(keyId),
      })),
    );
    return asks.map(({ incarnation }, index) => {
      const fence = fences.get(scopes[index]?.toString('hex') ?? '');
      if (fence !== undefined && incarnation <= fence.incarnation) {
        return { fence, outcome: { kind: 'refuse', status: 'erased' } };
      }
      return { fence, outcome: { kind: 'candidates', candidates: candidates[index] ?? [] } };
    });
  });
}
