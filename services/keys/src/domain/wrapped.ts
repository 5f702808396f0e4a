import type { Scope, TenantId } from '@lethe/platform/ids/ids.ts';
import { scopeText } from '@lethe/platform/ids/ids.ts';

/** What a tenant key wraps. */
export type WrappedThing =
  | {
      readonly what: 'data-key';
      readonly scope: Scope;
      readonly incarnation: number;
      readonly generation: number;
    }
  | { readonly what: 'token-key' }
  | { readonly what: 'contributor-key'; readonly month: number };

/** The bytes that a wrap is bound to: a row that was moved to another tenant, scope, generation or use does not open. */
export function wrapBinding(tenantId: TenantId, thing: WrappedThing): Buffer {
  return Buffer.from(JSON.stringify(['lethe.tenant-key.v1', tenantId, ...place(thing)]));
}

function place(thing: WrappedThing): readonly (string | number)[] {
  switch (thing.what) {
    case 'data-key':
      return [thing.what, scopeText(thing.scope), thing.incarnation, thing.generation];
    case 'token-key':
      return [thing.what];
    case 'contributor-key':
      return [thing.what, thing.month];
  }
}
