import assert from 'node:assert/strict';
import { isTenantId, type TenantId, type Token } from '@lethe/platform/ids/ids.ts';
import { wrapBinding, type WrappedThing } from './wrapped.ts';

describe('wrapBinding', () => {
  const acme = 'acme' as TenantId;
  const globex = 'globex' as TenantId;
  const token = 'ab'.repeat(16) as Token;

  it('is another one for every tenant, use and place', () => {
    assert.ok(isTenantId(acme));
    const dataKeys = [
      { kind: 'facts' } as const,
      { kind: 'person', token } as const,
      { kind: 'ticket', token } as const,
    ].flatMap((scope) =>
      [1, 2].flatMap((incarnation) =>
        [1, 2].map((generation) => ({ what: 'data-key' as const, scope, incarnation, generation })),
      ),
    );
    const things: WrappedThing[] = [
      ...dataKeys,
      { what: 'token-key' },
      { what: 'contributor-key', month: 1 },
      { what: 'contributor-key', month: 2 },
    ];
    const all = [acme, globex].flatMap((tenantId) =>
      things.map((thing) => wrapBinding(tenantId, thing).toString()),
    );
    assert.equal(new Set(all).size, all.length);
  });
});
