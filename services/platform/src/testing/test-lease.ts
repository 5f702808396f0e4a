import { createSecretKey } from 'node:crypto';
import type { Scope, TenantId, Token } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import { createDataKey } from '../sealing/data-key.ts';

/** A lease without end on a key of the test's own: what `keys` would grant, for tests of what uses leases. */
export function testLease(options: {
  readonly tenantId: TenantId;
  readonly scope: Scope;
  readonly secretBytes: Uint8Array;
  readonly incarnation?: number;
  readonly owner?: { readonly token: Token; readonly incarnation: number };
}): SealLease {
  return {
    granted: true,
    tenantId: options.tenantId,
    scope: options.scope,
    incarnation: options.incarnation ?? 1,
    dataKey: createDataKey(options.secretBytes),
    digestKey: createSecretKey(Buffer.alloc(32, 7)),
    owner: options.owner,
    fenceCutOffMs: undefined,
    assertUsable: () => undefined,
    take: () => undefined,
  };
}
