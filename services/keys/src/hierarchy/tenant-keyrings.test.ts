import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { openKeyringKms } from '../kms/keyring-kms.ts';
import type { Kms } from '../kms/port.ts';
import { createTenant } from '../testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  startKeys,
  tenantNamed,
  testConfig,
} from '../testing/keys-under-test.ts';
import { createTenantKeyrings } from './tenant-keyrings.ts';

describe('tenant keyrings', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;

  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('tenant-keyrings');
    const keys = await startKeys(world);
    await createTenant(keys, acme);
    await keys.stop();
  });
  after(() => world.remove());

  /** A KMS that counts what it unwraps and can be sealed. */
  const createSealableKms = async () => {
    const kms = await openKeyringKms({ path: world.keyringPath, randomBytes });
    let unwraps = 0;
    let isSealed = false;
    const sealable: Kms = {
      ...kms,
      unwrap: async (tenantId, wrapped) => {
        if (isSealed) throw new ServiceError('KMS_SEALED');
        unwraps += 1;
        return await kms.unwrap(tenantId, wrapped);
      },
    };
    return {
      kms: sealable,
      unwraps: () => unwraps,
      set: (sealed: boolean) => {
        isSealed = sealed;
      },
    };
  };
  const hasReason = (reason: string) => (error: unknown) =>
    error instanceof ServiceError && error.reason === reason;

  it('ask the KMS once within their term, also for many at once', async () => {
    const { kms, unwraps } = await createSealableKms();
    const keyrings = createTenantKeyrings({ ...world, ...testConfig, kms, randomBytes });
    await Promise.all(Array.from({ length: 100 }, () => keyrings.of(acme)));
    world.clock.advance(testConfig.tenantKeyTtlMs - 1);
    await keyrings.of(acme);
    assert.equal(unwraps(), 1);
    world.clock.advance(1);
    await Promise.all(Array.from({ length: 100 }, () => keyrings.of(acme)));
    assert.equal(unwraps(), 2);
  });

  it('are used to the end of their term while the KMS is sealed, then fail, and recover', async () => {
    const { kms, set } = await createSealableKms();
    const keyrings = createTenantKeyrings({ ...world, ...testConfig, kms, randomBytes });
    await keyrings.of(acme);
    set(true);
    world.clock.advance(testConfig.tenantKeyTtlMs - 1);
    await keyrings.of(acme);
    world.clock.advance(1);
    await assert.rejects(keyrings.of(acme), hasReason('KMS_SEALED'));
    set(false);
    await keyrings.of(acme);
  });
});
