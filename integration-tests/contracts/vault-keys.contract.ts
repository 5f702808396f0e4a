import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createTenantKeyrings } from '@lethe/keys/hierarchy/tenant-keyrings.ts';
import type { VaultKms } from '@lethe/keys/kms/vault-kms.ts';
import { rotateTenant } from '@lethe/keys/rotate-tenant.ts';
import { createTenant, fence } from '@lethe/keys/testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
  testConfig,
} from '@lethe/keys/testing/keys-under-test.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Peer } from '@lethe/platform/grpc/handler.ts';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { KeyClient, SealLease } from '@lethe/platform/key-client/port.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { until } from '@lethe/platform/testing/until.ts';
import {
  createOpener,
  dataOf,
  hasReason,
  openVault,
  provision,
  type ProvisionedVault,
} from './vault-under-test.ts';

const acme = tenantNamed('acme');
const person = () => ({ kind: 'person', token: someToken() }) as const;

describe('the keys service on Vault', function () {
  this.timeout(60_000);
  let provisioned: ProvisionedVault | undefined;
  let world: KeysWorld;
  let kms: VaultKms;
  let keys: RunningKeys;
  let client: KeyClient;
  const opener = createOpener();
  const under = (): ProvisionedVault => {
    assert.ok(provisioned !== undefined);
    return provisioned;
  };
  const seal = async (scope: Scope): Promise<SealLease> => {
    const [lease] = await client.leaseForSeal(acme, [{ scope }]);
    assert.ok(lease?.granted === true);
    return lease;
  };
  /** What a caller of another service is told, with the KMS's own reason as its cause. */
  const failsClosed = (reason: string) => (error: unknown) => {
    hasReason('KEYS_UNAVAILABLE')(error);
    assert.match(String(error), /keys service or its KMS/);
    const cause = error instanceof ServiceError ? error.cause : undefined;
    return hasReason(reason)(cause);
  };
  const startAll = async (): Promise<void> => {
    kms = await opener.open(under().config);
    keys = await startKeys(world, {}, { kms });
    const peer: Peer = {
      unary: (method, request, options) =>
        keys.peersOf('tickets')('keys').unary(method, request, options),
      serverStream: (method, request, options) =>
        keys.peersOf('tickets')('keys').serverStream(method, request, options),
    };
    const logger = createLogger({ service: 'tickets', level: 'silent' });
    client = createKeyClient({ peer, holderId: 'tickets-1', clock: world.clock, logger });
    await client.start();
  };
  const stopAll = async (): Promise<void> => {
    await client.stop();
    await keys.stop();
    await opener.closeAll();
  };

  before(async function () {
    this.timeout(3_600_000);
    const vault = await openVault('raft');
    if (vault === undefined) this.skip();
    provisioned = await provision(vault);
    world = await createKeysWorld('keys-on-vault');
    await startAll();
    await createTenant(keys, acme);
  });
  after(async () => {
    if (provisioned === undefined) return;
    await stopAll();
    await world.remove();
    await provisioned.vault.destroy();
  });

  it('sealed: seals on with leased keys until they expire, then fails closed, and recovers', async () => {
    const { vault } = under();
    const scope = person();
    const { keyId } = (await seal(scope)).dataKey;
    await vault.seal();
    // The unwrapped tenant key is good for 60 s, so a lease may still be renewed at 40 s: it lasts to 70 s.
    world.clock.advance(40_000);
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
    world.clock.advance(21_000);
    await assert.rejects(seal(person()), failsClosed('KMS_SEALED'));
    const held = await seal(scope);
    held.assertUsable();
    assert.deepEqual(held.dataKey.keyId, keyId);
    world.clock.advance(10_000);
    assert.throws(() => held.assertUsable(), hasReason('LEASE_EXPIRED'));
    await assert.rejects(seal(scope), failsClosed('KMS_SEALED'));
    await vault.unseal();
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
    await seal(person());
  });

  it('sealed: an erasure fences and destroys as ever', async () => {
    const { vault } = under();
    const scope = person();
    await seal(scope);
    await vault.seal();
    world.clock.advance(testConfig.tenantKeyTtlMs);
    const erasureId = randomUUID();
    const wish = { tenantId: acme, erasureId, persons: [scope.token], cutOffMs: 0 };
    const answer = await fence(keys, wish);
    assert.equal(answer.keysDestroyed, 1);
    await vault.unseal();
    assert.equal((await seal(scope)).incarnation, 2);
  });

  it('starts while Vault is sealed, and leases once it is not', async () => {
    const { vault } = under();
    const scope = person();
    const { keyId } = (await seal(scope)).dataKey;
    await stopAll();
    await vault.seal();
    await startAll();
    await assert.rejects(seal(scope), failsClosed('KMS_SEALED'));
    await vault.unseal();
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
  });

  it('killed and away: fails closed with a clear error, and recovers', async () => {
    const { vault } = under();
    const scope = person();
    const { keyId } = (await seal(scope)).dataKey;
    await vault.kill();
    world.clock.advance(testConfig.tenantKeyTtlMs);
    await assert.rejects(seal(scope), failsClosed('KMS_UNAVAILABLE'));
    await vault.start();
    await vault.unseal();
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
  });

  it('mount moved away: fails closed as if Vault were away, and recovers without a restart', async () => {
    const { vault } = under();
    const mayBeUsed = (mount: string) => async () =>
      (await vault.api('GET', `${mount}/config/keys`)).status === 200;
    const scope = person();
    const { keyId } = (await seal(scope)).dataKey;
    await under().asRoot('POST', 'sys/remount', { from: 'transit', to: 'elsewhere' });
    await until(mayBeUsed('elsewhere'));
    world.clock.advance(testConfig.tenantKeyTtlMs);
    await assert.rejects(seal(scope), failsClosed('KMS_MISCONFIGURED'));
    await under().asRoot('POST', 'sys/remount', { from: 'elsewhere', to: 'transit' });
    await until(mayBeUsed('transit'));
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
  });

  it('rotated: everything opens, and the wrapped tenant key of an old copy never again', async () => {
    const scope = person();
    const { keyId } = (await seal(scope)).dataKey;
    const stored = await world.db.selectFrom('tenant_keys').selectAll().execute();
    const keyrings = createTenantKeyrings({ ...world, ...testConfig, kms, randomBytes });
    const rotated = await rotateTenant({ ...world, kms, keyrings, randomBytes }, acme);
    assert.equal(rotated.kmsVersion, 2);
    const found = dataOf(await under().asRoot('GET', 'transit/keys/lethe-acme'));
    assert.deepEqual(Object.keys(found['keys'] as object), ['2']);
    assert.equal(stored.length, 1);
    for (const { wrapped } of stored) {
      await assert.rejects(kms.unwrap(acme, wrapped), hasReason('KMS_UNWRAP_FAILED'));
    }
    world.clock.advance(testConfig.tenantKeyTtlMs);
    await until(async () => (await seal(scope)).dataKey.keyId.equals(keyId));
    console.log(`    ${rotated.rows} rows re-wrapped`);
  });
});
