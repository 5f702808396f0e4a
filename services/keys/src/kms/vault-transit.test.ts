import assert from 'node:assert/strict';
import { tenantNamed } from '../testing/keys-under-test.ts';
import { createVaultTransit } from './vault-transit.ts';

describe('the Transit calls', () => {
  const acme = tenantNamed('acme');
  const findIn = async (status: number, body: unknown) => {
    const transit = createVaultTransit({
      session: {
        send: async () => ({ status, isOk: status === 200, body }),
        problem: () => undefined,
        close: async () => {},
      },
      mount: 'transit',
      keyPrefix: 'lethe-',
    });
    return await transit.find(acme);
  };

  it('take a 404 without an error for a tenant without a key', async () => {
    assert.equal(await findIn(404, { errors: [] }), undefined);
  });

  it('take every other 404 for a wrong mount: a tenant whose key cannot be looked for is not destroyed', async () => {
    const noRoute = { errors: ['no handler for route "transit/keys/lethe-acme".'] };
    const otherEngine = { data: null, warnings: ['Invalid path for a versioned engine.'] };
    for (const body of [noRoute, otherEngine, undefined]) {
      await assert.rejects(findIn(404, body), { reason: 'KMS_MISCONFIGURED' });
    }
  });
});
