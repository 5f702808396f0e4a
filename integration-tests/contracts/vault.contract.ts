import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { kmsContract } from '@lethe/keys/testing/kms-contract.ts';
import { tenantNamed } from '@lethe/keys/testing/keys-under-test.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { timedRoundTrips } from './kms-timing.ts';
import {
  createOpener,
  dataOf,
  hasReason,
  openVault,
  policyFile,
  provision,
  type ProvisionedVault,
} from './vault-under-test.ts';

const acme = tenantNamed('acme');
const secret = randomBytes(32);
const contextOf = (tenantId: string) =>
  Buffer.from(JSON.stringify(['lethe.transit.v1', tenantId])).toString('base64');

const kvEngine = { type: 'kv', options: { version: '2' } };

/** Another name for each test's keys, so that one Vault serves them all. */
const freshPrefix = () => `t${randomBytes(6).toString('hex')}-`;

describe('Vault Transit, AppRole, least policy', function () {
  this.timeout(60_000);
  let provisioned: ProvisionedVault | undefined;
  const opener = createOpener();
  const under = (): ProvisionedVault => {
    assert.ok(provisioned !== undefined);
    return provisioned;
  };
  const configWith = (keyPrefix: string) => ({ ...under().config, keyPrefix });

  before(async function () {
    this.timeout(3_600_000);
    const vault = await openVault('dev');
    if (vault === undefined) this.skip();
    provisioned = await provision(vault);
  });
  afterEach(() => opener.closeAll());
  after(async () => {
    await provisioned?.vault.destroy();
  });

  kmsContract('Vault Transit', async () => {
    const config = configWith(freshPrefix());
    const { open, closeAll } = createOpener();
    return { kms: await open(config), reopen: () => open(config), close: closeAll };
  });

  it('binds every wrap to its tenant by context', async () => {
    const config = configWith(freshPrefix());
    const kms = await opener.open(config);
    await kms.rotate(acme);
    const wrapped = await kms.wrap(acme, secret);
    const ciphertext = `vault:v1:${wrapped.subarray(5).toString('base64')}`;
    const decrypt = (context: string) =>
      under().vault.api('POST', `transit/decrypt/${config.keyPrefix}acme`, { ciphertext, context });
    const opened = await decrypt(contextOf('acme'));
    assert.equal(dataOf(opened.body)['plaintext'], secret.toString('base64'));
    assert.equal((await decrypt(contextOf('globex'))).status, 400);
  });

  it('leaves nothing of a destroyed version: not even root can have it back', async () => {
    const config = configWith(freshPrefix());
    const kms = await opener.open(config);
    const path = `transit/keys/${config.keyPrefix}acme`;
    await kms.rotate(acme);
    const old = await kms.wrap(acme, secret);
    const newest = await kms.rotate(acme);
    const fresh = await kms.wrap(acme, secret);
    await kms.destroyVersionsBefore(acme, newest);
    const found = dataOf(await under().asRoot('GET', path));
    assert.deepEqual(Object.keys(found['keys'] as object), ['2']);
    assert.equal(found['min_available_version'], 2);
    const lower = { min_decryption_version: 1 };
    assert.equal((await under().vault.api('POST', `${path}/config`, lower)).status, 400);
    await assert.rejects(kms.unwrap(acme, old), hasReason('KMS_UNWRAP_FAILED'));
    assert.deepEqual(await kms.unwrap(acme, fresh), secret);
  });

  it('goes on after a crash between closing versions and destroying them', async () => {
    const config = configWith(freshPrefix());
    const kms = await opener.open(config);
    const path = `transit/keys/${config.keyPrefix}acme`;
    await kms.rotate(acme);
    await kms.rotate(acme);
    const closed = { min_decryption_version: 2, min_encryption_version: 2 };
    await under().asRoot('POST', `${path}/config`, closed);
    await kms.destroyVersionsBefore(acme, 2);
    assert.equal(dataOf(await under().asRoot('GET', path))['min_available_version'], 2);
  });

  it('does not make a deleted key anew, whoever deleted it', async () => {
    const config = configWith(freshPrefix());
    const kms = await opener.open(config);
    const path = `transit/keys/${config.keyPrefix}acme`;
    await kms.rotate(acme);
    const wrapped = await kms.wrap(acme, secret);
    await under().asRoot('POST', `${path}/config`, { deletion_allowed: true });
    await under().asRoot('DELETE', path);
    await assert.rejects(kms.wrap(acme, secret), hasReason('KMS_KEY_MISSING'));
    await assert.rejects(kms.unwrap(acme, wrapped), hasReason('KMS_KEY_MISSING'));
    const plaintext = secret.toString('base64');
    const encrypt = `transit/encrypt/${config.keyPrefix}acme`;
    const direct = await under().vault.api('POST', encrypt, { plaintext, context: 'AAAA' });
    assert.equal(direct.status, 400);
    assert.equal((await under().vault.api('GET', path)).status, 404);
  });

  it('refuses a Vault that would make keys by itself', async () => {
    await under().asRoot('POST', 'transit/config/keys', { disable_upsert: false });
    try {
      await assert.rejects(opener.open(under().config), (error: unknown) => {
        assert.match(String(error), /vault write transit\/config\/keys disable_upsert=true/);
        return hasReason('KMS_MISCONFIGURED')(error);
      });
    } finally {
      await under().asRoot('POST', 'transit/config/keys', { disable_upsert: true });
    }
  });

  it('refuses a mount that is no Transit engine, and a key that somebody else made', async () => {
    const elsewhere = { ...under().config, transitMount: 'secret' };
    await assert.rejects(opener.open(elsewhere), hasReason('KMS_ACCESS_DENIED'));
    const config = configWith(freshPrefix());
    const kms = await opener.open(config);
    const made = { type: 'aes256-gcm96', derived: true, exportable: true };
    await under().asRoot('POST', `transit/keys/${config.keyPrefix}acme`, made);
    await assert.rejects(kms.wrap(acme, secret), hasReason('KMS_MISCONFIGURED'));
    await assert.rejects(kms.rotate(acme), hasReason('KMS_MISCONFIGURED'));
    await kms.destroyTenant(acme);
    assert.equal(await kms.rotate(acme), 1);
  });

  it('takes a mount that is gone, or is another engine now, for no answer about any tenant', async () => {
    const config = { ...configWith(freshPrefix()), transitMount: 'moving' };
    const policy = readFileSync(policyFile, 'utf8').replaceAll('"transit/', '"moving/');
    await under().asRoot('PUT', 'sys/policies/acl/moving', { policy });
    await under().setTokenTerms({ ttl: '1h', maxTtl: '24h' }, ['moving']);
    const isMisconfigured = hasReason('KMS_MISCONFIGURED');
    try {
      await under().asRoot('POST', 'sys/mounts/moving', { type: 'transit' });
      await under().asRoot('POST', 'moving/config/keys', { disable_upsert: true });
      const kms = await opener.open(config);
      await kms.rotate(acme);
      const wrapped = await kms.wrap(acme, secret);
      const refused = async (): Promise<void> => {
        await assert.rejects(kms.destroyTenant(acme), isMisconfigured);
        await assert.rejects(kms.wrap(acme, secret), isMisconfigured);
        await assert.rejects(kms.unwrap(acme, wrapped), isMisconfigured);
        await assert.rejects(kms.rotate(acme), isMisconfigured);
      };
      await under().asRoot('POST', 'sys/remount', { from: 'moving', to: 'moved' });
      await until(async () => (await under().vault.api('GET', 'moved/config/keys')).status === 200);
      await refused();
      await under().asRoot('POST', 'sys/mounts/moving', kvEngine);
      await refused();
      await under().asRoot('DELETE', 'sys/mounts/moving');
      await under().asRoot('POST', 'sys/remount', { from: 'moved', to: 'moving' });
      await until(
        async () => (await under().vault.api('GET', 'moving/config/keys')).status === 200,
      );
      assert.deepEqual(await kms.unwrap(acme, wrapped), secret);
    } finally {
      await under().setTokenTerms({ ttl: '1h', maxTtl: '24h' });
    }
  });

  it('has a key for tenants whose ids are names that Vault does not take', async () => {
    const kms = await opener.open(configWith(freshPrefix()));
    for (const name of ['acme-', 'a--', 'a1']) {
      const tenantId = tenantNamed(name);
      assert.equal(await kms.rotate(tenantId), 1);
      const wrapped = await kms.wrap(tenantId, secret);
      assert.deepEqual(await kms.unwrap(tenantId, wrapped), secret);
    }
  });

  it('prints how long a wrap and an unwrap take', async () => {
    const kms = await opener.open(configWith(freshPrefix()));
    await kms.rotate(acme);
    const { wrapMs, unwrapMs } = await timedRoundTrips(kms, acme, secret, 200);
    console.log(`    median of 200: wrap ${wrapMs} ms (two requests), unwrap ${unwrapMs} ms`);
  });
});

describe('Vault Transit on disk (raft)', function () {
  this.timeout(60_000);
  let provisioned: ProvisionedVault | undefined;
  const opener = createOpener();
  const under = (): ProvisionedVault => {
    assert.ok(provisioned !== undefined);
    return provisioned;
  };

  before(async function () {
    this.timeout(3_600_000);
    const vault = await openVault('raft');
    if (vault === undefined) this.skip();
    provisioned = await provision(vault);
  });
  after(async () => {
    await opener.closeAll();
    await provisioned?.vault.destroy();
  });

  it('keeps what it answered over kill -9, and the adapter goes on by itself', async () => {
    const { vault, config } = under();
    const kms = await opener.open(config);
    await kms.rotate(acme);
    const old = await kms.wrap(acme, secret);
    const newest = await kms.rotate(acme);
    const fresh = await kms.wrap(acme, secret);
    await kms.destroyVersionsBefore(acme, newest);
    await vault.kill();
    await assert.rejects(kms.unwrap(acme, fresh), hasReason('KMS_UNAVAILABLE'));
    await vault.start();
    await assert.rejects(kms.unwrap(acme, fresh), hasReason('KMS_SEALED'));
    await vault.unseal();
    assert.deepEqual(await kms.unwrap(acme, fresh), secret);
    await assert.rejects(kms.unwrap(acme, old), hasReason('KMS_UNWRAP_FAILED'));
    assert.equal(await kms.rotate(acme), 3);
  });

  it('says that it is sealed, in every call, and works again once unsealed', async () => {
    const { vault, config } = under();
    const kms = await opener.open(config);
    const tenantId = tenantNamed('sealed');
    await kms.rotate(tenantId);
    const wrapped = await kms.wrap(tenantId, secret);
    await vault.seal();
    const isSealed = hasReason('KMS_SEALED');
    await assert.rejects(kms.wrap(tenantId, secret), isSealed);
    await assert.rejects(kms.unwrap(tenantId, wrapped), isSealed);
    await assert.rejects(kms.rotate(tenantId), isSealed);
    await assert.rejects(kms.destroyVersionsBefore(tenantId, 1), isSealed);
    await assert.rejects(kms.destroyTenant(tenantId), isSealed);
    const late = await opener.open(config);
    await assert.rejects(late.wrap(tenantId, secret), isSealed);
    await vault.unseal();
    assert.deepEqual(await kms.unwrap(tenantId, wrapped), secret);
    assert.deepEqual(await late.unwrap(tenantId, await late.wrap(tenantId, secret)), secret);
  });
});
