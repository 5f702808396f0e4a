import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeWrapped, encodeWrapped } from './vault-wrapped.ts';

describe('keys wrapped by Transit', () => {
  it('law: the bytes give back the text', () => {
    const versions = fc.integer({ min: 1, max: 0xffff_ffff });
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(versions, bytes, (version, ciphertext) => {
        const text = `vault:v${version}:${Buffer.from(ciphertext).toString('base64')}`;
        assert.equal(decodeWrapped(encodeWrapped(text)), text);
      }),
    );
  });

  it('have one version for one text: Transit would take v0 for v1', () => {
    const wrapped = encodeWrapped('vault:v1:AAAA');
    wrapped.writeUInt32BE(0, 1);
    assert.equal(decodeWrapped(wrapped), undefined);
  });

  it('are told from what another KMS wrapped', () => {
    assert.equal(decodeWrapped(Buffer.from([0, 0, 0, 1, 7, 7, 7])), undefined);
    assert.equal(decodeWrapped(Buffer.alloc(0)), undefined);
    for (const text of ['', 'vault:v0:AAAA', 'vault:v1:', 'v1:AAAA', 'vault:v4294967296:AAAA']) {
      assert.throws(() => encodeWrapped(text), RangeError, text);
    }
  });
});
