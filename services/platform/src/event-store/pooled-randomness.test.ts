import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createPooledRandomness } from './pooled-randomness.ts';

describe('pooled randomness', () => {
  it('hands out every byte once, as many as asked for', () => {
    const fetched: Buffer[] = [];
    const take = createPooledRandomness((sizeBytes) => {
      const bytes = randomBytes(sizeBytes);
      fetched.push(bytes);
      return bytes;
    });
    const taken = Array.from({ length: 2_000 }, () => take(12));
    assert(taken.every((bytes) => bytes.length === 12));
    assert.equal(new Set(taken.map((bytes) => bytes.toString('hex'))).size, 2_000);
    assert(fetched.length < 10);
    assert.equal(take(10_000).length, 10_000);
  });
});
