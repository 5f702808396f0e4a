import type { Scope, TenantId } from '@lethe/platform/ids/ids.ts';

export interface RevokedScope {
  readonly scope: Scope;
  /** Incarnations up to this one. */
  readonly incarnation: number;
}

/** One push. Id 0 with no scopes is the first message of a watch: the holder is registered. */
export interface Revocation {
  readonly revocationId: bigint;
  readonly tenantId: TenantId | '';
  readonly scopes: readonly RevokedScope[];
}
