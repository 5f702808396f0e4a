import assert from 'node:assert/strict';
import type { Token } from '@lethe/platform/ids/ids.ts';
import { canonicalPerson, personsBehind } from './persons.ts';

const token = (digit: string): Token => digit.repeat(32) as Token;
const [a, b, c] = [token('a'), token('b'), token('c')];

describe('a token of a person', () => {
  it('that is new stands for a new person, and nobody is behind it yet', () => {
    const known = { token: a, isPerson: false, aliasOf: [] };
    assert.equal(canonicalPerson(known), a);
    assert.deepEqual(personsBehind(known), []);
  });

  it('that is the alias of one person leads to them', () => {
    const known = { token: a, isPerson: false, aliasOf: [b] };
    assert.equal(canonicalPerson(known), b);
    assert.deepEqual(personsBehind(known), [b]);
  });

  it('that several share leads to nobody, and all are behind it', () => {
    const known = { token: a, isPerson: false, aliasOf: [b, c] };
    assert.equal(canonicalPerson(known), a);
    assert.deepEqual(personsBehind(known), [b, c]);
  });

  it('that is a person of its own stays one, and everybody is behind it', () => {
    const known = { token: b, isPerson: true, aliasOf: [a] };
    assert.equal(canonicalPerson(known), b);
    assert.deepEqual(personsBehind(known), [a, b]);
  });
});
