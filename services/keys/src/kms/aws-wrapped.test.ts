import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeAwsWrapped, encodeAwsWrapped } from './aws-wrapped.ts';
import { decodeWrapped, encodeWrapped } from './vault-wrapped.ts';

describe('keys wrapped by AWS KMS', () => {
  it('law: the bytes give back key and ciphertext', () => {
    const blobs = fc.uint8Array({ minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(fc.uuid(), blobs, (keyId, blob) => {
        const decoded = decodeAwsWrapped(encodeAwsWrapped({ keyId, blob }));
        assert.deepEqual(decoded, { keyId, blob: Buffer.from(blob) });
      }),
    );
  });

  it('are told from what another KMS wrapped, and the other way about', () => {
    const keyId = '7928dbaa-15a3-4ebf-a3e4-7259a76231db';
    const blob = Buffer.alloc(40, 7);
    assert.equal(decodeWrapped(encodeAwsWrapped({ keyId, blob })), undefined);
    const ofVault = encodeWrapped(`vault:v1:${blob.toString('base64')}`);
    assert.equal(decodeAwsWrapped(ofVault), undefined);
    assert.equal(decodeAwsWrapped(Buffer.concat([Buffer.from([0, 0, 0, 1]), blob])), undefined);
    assert.equal(decodeAwsWrapped(encodeAwsWrapped({ keyId, blob: Buffer.alloc(0) })), undefined);
    for (const foreign of ['mrk-7928dbaa15a34ebfa3e47259a76231db', 'alias/lethe/acme/1', '']) {
      assert.throws(() => encodeAwsWrapped({ keyId: foreign, blob }), RangeError);
    }
  });
});
