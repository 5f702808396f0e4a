import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import type { EventId, TenantId, Token } from '../ids/ids.ts';
import { labelledBytes } from '../testing/sealing-sample.ts';
import { testLease } from '../testing/test-lease.ts';
import type { ValueBinding } from './associated-data.ts';
import { contentDigest } from './content-digest.ts';
import { createDataKey } from './data-key.ts';
import { openRequestOfValue, openValue, sealValue } from './value.ts';

const tenantId = 'acme' as TenantId;
const streamToken = labelledBytes('ticket', 16).toString('hex') as Token;
const secretBytes = labelledBytes('data key/ticket', 32);
const lease = testLease({ tenantId, scope: { kind: 'ticket', token: streamToken }, secretBytes });
const binding: ValueBinding = { tenantId, name: 'ticket-state', streamToken, version: 7n };
const tampered = { reason: 'TAMPERED' };

describe('sealed values', () => {
  it('open to what was sealed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const box = sealValue(lease, binding, bytes, randomBytes);
        assert.deepEqual(openValue(lease, { ...binding, version: 7 }, box), Buffer.from(bytes));
      }),
    );
  });

  it('open under their own binding and key alone', () => {
    const box = sealValue(lease, binding, Buffer.from('state'), randomBytes);
    const otherToken = labelledBytes('other', 16).toString('hex') as Token;
    const bindings: ValueBinding[] = [
      { ...binding, name: 'ticket-summary' },
      { ...binding, version: 8n },
      { ...binding, streamToken: otherToken },
    ];
    for (const other of bindings) assert.throws(() => openValue(lease, other, box), tampered);
    const leases = [
      { ...lease, incarnation: 2 },
      { ...lease, scope: { kind: 'ticket', token: otherToken } as const },
      { ...lease, scope: { kind: 'person', token: streamToken } as const },
      { ...lease, dataKey: createDataKey(labelledBytes('another', 32)) },
    ];
    for (const other of leases) assert.throws(() => openValue(other, binding, box), tampered);
    const zeta = 'zeta' as TenantId;
    assert.throws(
      () => openValue({ ...lease, tenantId: zeta }, { ...binding, tenantId: zeta }, box),
      tampered,
    );
    assert.throws(() => openValue({ ...lease, tenantId: zeta }, binding, box), /another tenant/);
  });

  it('fail for every byte', () => {
    const box = sealValue(lease, binding, Buffer.from('state'), randomBytes);
    for (let index = 0; index < box.length; index += 1) {
      const copy = Buffer.from(box);
      copy.writeUInt8(copy.readUInt8(index) ^ 0x80, index);
      assert.throws(() => openValue(lease, binding, copy), tampered);
    }
  });

  it('say which key they need, and zeros when they are no box', () => {
    const box = sealValue(lease, binding, Buffer.from('state'), randomBytes);
    assert.deepEqual(openRequestOfValue(lease.scope, 1, box).keyId, lease.dataKey.keyId);
    assert.deepEqual(openRequestOfValue(lease.scope, 1, box.subarray(1)).keyId, Buffer.alloc(16));
  });
});

describe('data keys', () => {
  it('are refused under an id that does not commit to them', () => {
    const { keyId } = createDataKey(secretBytes);
    assert.deepEqual(createDataKey(secretBytes, keyId).keyId, keyId);
    for (const wrong of [Buffer.alloc(16), keyId.subarray(1)]) {
      assert.throws(() => createDataKey(secretBytes, wrong), { reason: 'KEY_COMMITMENT_MISMATCH' });
    }
  });
});

describe('content digests', () => {
  it('differ whenever anything that the caller sent differs', () => {
    const digestKey = createSecretKey(labelledBytes('digest key', 32));
    const cause = '0198c1de-5e00-7abc-8def-0123456789aa' as EventId;
    const digests = [
      contentDigest(digestKey, 'Solved', 5, undefined, Buffer.from('ab')),
      contentDigest(digestKey, 'Solved', 5, cause, Buffer.from('ab')),
      contentDigest(digestKey, 'Solved', 6, undefined, Buffer.from('ab')),
      contentDigest(digestKey, 'Solve', 5, undefined, Buffer.from('ab')),
      contentDigest(digestKey, 'Solved', 5, undefined, Buffer.from('abc')),
      contentDigest(createSecretKey(secretBytes), 'Solved', 5, undefined, Buffer.from('ab')),
    ].map((digest) => digest.toString('hex'));
    assert.equal(new Set(digests).size, digests.length);
    assert.equal(
      contentDigest(digestKey, 'Solved', 5n, undefined, Buffer.from('ab')).toString('hex'),
      digests[0],
    );
  });
});
