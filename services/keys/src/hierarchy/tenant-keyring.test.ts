import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { WrappedThing } from '../domain/wrapped.ts';
import { wrapOverheadBytes } from './authenticated-wrap.ts';
import { digestKeyOf, makeDataKey, openDataKey, openDataKeyWithId } from './data-keys.ts';
import { createTenantKeyring, type TenantKeyring } from './tenant-keyring.ts';

const acme = 'acme' as TenantId;
const secrets = [randomBytes(32), randomBytes(32)] as const;

function keyringOf(tenantId: TenantId, ...numbers: readonly (1 | 2)[]): TenantKeyring {
  const [first, ...older] = numbers.map((number) => ({
    number,
    secretBytes: secrets[number === 1 ? 0 : 1],
  }));
  assert.ok(first !== undefined);
  return createTenantKeyring({
    tenantId,
    tenantNumber: 1,
    tenantKeys: [first, ...older],
    randomBytes,
  });
}

const place = { scope: { kind: 'facts' }, incarnation: 1, generation: 1 } as const;
const thing: WrappedThing = { what: 'data-key', ...place };

describe('tenant keyring', () => {
  const keyring = keyringOf(acme, 1);

  it('law: unwraps what it wrapped, and nothing of which one bit is other', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const bits = fc.nat((32 + wrapOverheadBytes) * 8 - 1);
    fc.assert(
      fc.property(bytes, bits, (secretBytes, bit) => {
        const wrapped = keyring.wrap(thing, secretBytes);
        assert.deepEqual(keyring.unwrap(thing, wrapped), Buffer.from(secretBytes));
        wrapped.writeUInt8(wrapped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        assert.equal(keyring.unwrap(thing, wrapped), undefined);
      }),
    );
  });

  it('unwraps nothing of another tenant, place or use', () => {
    const wrapped = keyring.wrap(thing, secrets[0]);
    assert.equal(keyringOf('globex' as TenantId, 1).unwrap(thing, wrapped), undefined);
    assert.equal(keyring.unwrap({ ...thing, generation: 2 }, wrapped), undefined);
    assert.equal(keyring.unwrap({ what: 'token-key' }, wrapped), undefined);
    assert.equal(keyring.unwrap(thing, wrapped.subarray(1)), undefined);
    assert.equal(keyring.unwrap(thing, Buffer.alloc(0)), undefined);
  });

  it('during a rotation wraps with the newest and unwraps with both', () => {
    const rotating = keyringOf(acme, 2, 1);
    const old = keyring.wrap(thing, secrets[0]);
    assert.deepEqual(rotating.unwrap(thing, old), secrets[0]);
    assert.equal(rotating.isUnderNewest(thing, old), false);
    const fresh = rotating.wrap(thing, secrets[0]);
    assert.equal(rotating.isUnderNewest(thing, fresh), true);
    assert.equal(keyring.unwrap(thing, fresh), undefined);
  });

  it('takes a stored key that does not open for lost, not for absent', () => {
    assert.throws(
      () => openDataKey(keyring, place, randomBytes(60)),
      (error: unknown) => error instanceof ServiceError && error.reason === 'KMS_UNWRAP_FAILED',
    );
  });

  it('makes data keys that commit to their id, each with a digest key of its own', () => {
    const made = makeDataKey(keyring, place, randomBytes);
    const opened = openDataKey(keyring, place, made.wrapped);
    assert.deepEqual(opened.keyId, made.keyId);
    assert.deepEqual(openDataKeyWithId(keyring, place, made.wrapped, made.keyId), opened);
    assert.equal(openDataKeyWithId(keyring, place, made.wrapped, randomBytes(16)), undefined);
    const other = openDataKey(keyring, place, makeDataKey(keyring, place, randomBytes).wrapped);
    assert.notDeepEqual(digestKeyOf(opened), digestKeyOf(other));
    assert.notDeepEqual(digestKeyOf(opened), opened.secretBytes);
  });
});
