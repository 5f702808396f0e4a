import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { isTenantId, type TenantId } from '@lethe/platform/ids/ids.ts';
import type { Kms } from '../kms/port.ts';

export interface KmsUnderTest {
  readonly kms: Kms;
  /** Gives up the process's memory and opens the same KMS again, as after a restart. */
  readonly reopen: () => Promise<Kms>;
  close(): Promise<void>;
}

function tenant(name: string): TenantId {
  if (!isTenantId(name)) throw new RangeError('not a tenant id');
  return name;
}

const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

const acme = tenant('acme');
// A name that every JavaScript object answers to.
const globex = tenant('constructor');
const secret = randomBytes(32);

/** What every KMS adapter promises; `name` stands in the title. Each test gets a KMS of its own. */
export function kmsContract(name: string, create: () => Promise<KmsUnderTest>): void {
  describe(`KMS contract: ${name}`, () => {
    let opened: KmsUnderTest | undefined;
    const underTest = (): KmsUnderTest => {
      assert.ok(opened !== undefined);
      return opened;
    };

    beforeEach(async () => {
      opened = await create();
    });
    afterEach(async () => {
      await opened?.close();
    });

    describeWrapping(() => underTest().kms);
    describeVersions(underTest);
    describeDestroying(underTest);
  });
}

function describeWrapping(kmsUnderTest: () => Kms): void {
  it('unwraps what it wrapped', async () => {
    const kms = kmsUnderTest();
    await kms.rotate(acme);
    assert.deepEqual(await kms.unwrap(acme, await kms.wrap(acme, secret)), secret);
  });

  it('never wraps the same bytes alike', async () => {
    const kms = kmsUnderTest();
    await kms.rotate(acme);
    assert.notDeepEqual(await kms.wrap(acme, secret), await kms.wrap(acme, secret));
  });

  it('makes no key by wrapping', async () => {
    const kms = kmsUnderTest();
    await assert.rejects(kms.wrap(acme, secret), hasReason('KMS_KEY_MISSING'));
    await assert.rejects(kms.unwrap(acme, secret), hasReason('KMS_KEY_MISSING'));
  });

  it('binds to the tenant', async () => {
    const kms = kmsUnderTest();
    await kms.rotate(acme);
    await kms.rotate(globex);
    const wrapped = await kms.wrap(acme, secret);
    await assert.rejects(kms.unwrap(globex, wrapped), hasReason('KMS_UNWRAP_FAILED'));
  });

  it('refuses changed and cut bytes', async () => {
    const kms = kmsUnderTest();
    await kms.rotate(acme);
    const wrapped = await kms.wrap(acme, secret);
    for (let at = 0; at < wrapped.length; at += 1) {
      const changed = Buffer.from(wrapped);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      await assert.rejects(kms.unwrap(acme, changed), hasReason('KMS_UNWRAP_FAILED'));
    }
    for (const length of [0, 3, 4, wrapped.length - 1]) {
      const cut = wrapped.subarray(0, length);
      await assert.rejects(kms.unwrap(acme, cut), hasReason('KMS_UNWRAP_FAILED'));
    }
  });
}

function describeVersions(underTest: () => KmsUnderTest): void {
  it('counts versions up and unwraps what older living ones wrapped', async () => {
    const { kms } = underTest();
    assert.equal(await kms.rotate(acme), 1);
    const old = await kms.wrap(acme, secret);
    assert.equal(await kms.rotate(acme), 2);
    assert.deepEqual(await kms.unwrap(acme, old), secret);
    assert.deepEqual(await kms.unwrap(acme, await kms.wrap(acme, secret)), secret);
  });

  it('keeps its keys across a restart', async () => {
    const { kms, reopen } = underTest();
    await kms.rotate(acme);
    await kms.rotate(acme);
    const wrapped = await kms.wrap(acme, secret);
    const restarted = await reopen();
    assert.deepEqual(await restarted.unwrap(acme, wrapped), secret);
    assert.equal(await restarted.rotate(acme), 3);
  });

  it('makes one version per call when called at once', async () => {
    const { kms, reopen } = underTest();
    const versions = await Promise.all(Array.from({ length: 8 }, () => kms.rotate(acme)));
    assert.deepEqual(
      versions.toSorted((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    const wrapped = await kms.wrap(acme, secret);
    assert.deepEqual(await (await reopen()).unwrap(acme, wrapped), secret);
  });
}

function describeDestroying(underTest: () => KmsUnderTest): void {
  it('destroys versions for ever and keeps the rest', async () => {
    const { kms, reopen } = underTest();
    await kms.rotate(acme);
    const old = await kms.wrap(acme, secret);
    const newest = await kms.rotate(acme);
    const fresh = await kms.wrap(acme, secret);
    await kms.destroyVersionsBefore(acme, newest);
    await kms.destroyVersionsBefore(acme, newest);
    await assert.rejects(kms.unwrap(acme, old), hasReason('KMS_UNWRAP_FAILED'));
    assert.deepEqual(await kms.unwrap(acme, fresh), secret);
    const restarted = await reopen();
    await assert.rejects(restarted.unwrap(acme, old), hasReason('KMS_UNWRAP_FAILED'));
    assert.deepEqual(await restarted.unwrap(acme, fresh), secret);
  });

  it('does not destroy the newest version but with its tenant', async () => {
    const { kms } = underTest();
    const newest = await kms.rotate(acme);
    const wrapped = await kms.wrap(acme, secret);
    await assert.rejects(kms.destroyVersionsBefore(acme, newest + 1), RangeError);
    assert.deepEqual(await kms.unwrap(acme, wrapped), secret);
  });

  it('destroys a tenant for ever and leaves the others', async () => {
    const { kms } = underTest();
    await kms.rotate(acme);
    await kms.rotate(globex);
    const ofAcme = await kms.wrap(acme, secret);
    const ofGlobex = await kms.wrap(globex, secret);
    await kms.destroyTenant(acme);
    await kms.destroyTenant(acme);
    await assert.rejects(kms.unwrap(acme, ofAcme), hasReason('KMS_KEY_MISSING'));
    await assert.rejects(kms.wrap(acme, secret), hasReason('KMS_KEY_MISSING'));
    assert.deepEqual(await kms.unwrap(globex, ofGlobex), secret);
    // Even a key made anew under the same name opens nothing of the former one.
    await kms.rotate(acme);
    await assert.rejects(kms.unwrap(acme, ofAcme), hasReason('KMS_UNWRAP_FAILED'));
  });
}
