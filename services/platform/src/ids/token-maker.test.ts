import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { labelledBytes } from '../testing/sealing-sample.ts';
import { isToken, isUuidText, type Token } from './ids.ts';
import { createContributorMaker, createTokenMaker } from './token-maker.ts';

const acme = createTokenMaker(createSecretKey(labelledBytes('token key/acme', 32)));
const zeta = createTokenMaker(createSecretKey(labelledBytes('token key/zeta', 32)));

describe('the token maker', () => {
  it('gives one token for one id in two notations', () => {
    const same: readonly (readonly [Token, Token])[] = [
      [acme.person('Zoë'), acme.person('Zoe\u0308')],
      [acme.person('u-1'), acme.person(' u-1\n')],
      [acme.ticket('T-1'), acme.ticket('T-1 ')],
      [acme.alias('email', 'Ada@Example.COM'), acme.alias('email', ' ada@example.com')],
      [acme.alias('email', 'ZOË@example.com'), acme.alias('email', 'zoe\u0308@example.com')],
      [acme.alias('phone', '+49 (0)30 23125-123'), acme.alias('phone', '0049.30.23125123')],
      [acme.alias('phone', '+49 30 23125123'), acme.alias('phone', '493023125123')],
      [acme.alias('phone', '+４９ 30 23125123'), acme.alias('phone', '+49 30 23125123')],
      [acme.alias('id', 'crm:7'), acme.alias('id', 'crm:7 ')],
    ];
    for (const [one, other] of same) assert.equal(one, other);
  });

  it('keeps apart what differs, by kind and by tenant too', () => {
    const value = '493023125123';
    const tokens = [acme, zeta].flatMap((maker) => [
      maker.ticket(value),
      maker.person(value),
      maker.alias('email', value),
      maker.alias('phone', value),
      maker.alias('id', value),
      maker.person('U-1'),
      maker.person('u-1'),
      maker.alias('phone', '030 23125123'),
      maker.alias('phone', 'unknown'),
      maker.alias('phone', 'none'),
    ]);
    assert.equal(new Set(tokens).size, tokens.length);
    assert.ok(tokens.every(isToken));
  });

  it('makes version 8 ids that repeat and do not collide across their kinds', () => {
    const source = acme.eventIdFromSource('INC0001/17');
    assert.equal(source, acme.eventIdFromSource('INC0001/17'));
    const ids = [
      source,
      zeta.eventIdFromSource('INC0001/17'),
      acme.derivedEventId('INC0001/17'),
      acme.derivedEventId('INC0001', '17'),
      acme.derivedEventId('INC000', '117'),
      acme.derivedEventId(),
    ];
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) {
      assert.ok(isUuidText(id));
      assert.match(id, /^.{14}8.{4}[89ab]/);
    }
  });

  it('is a function of the canonical form alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (id) => {
        assert.equal(acme.person(id), acme.person(` ${id.normalize('NFD')} `));
        assert.equal(acme.alias('email', id), acme.alias('email', ` ${id.normalize('NFD')}`));
      }),
    );
  });
});

describe('the contributor maker', () => {
  it('makes 8 bytes that differ by person and by month', () => {
    const may = createContributorMaker(createSecretKey(labelledBytes('contributor key/may', 32)));
    const june = createContributorMaker(createSecretKey(labelledBytes('contributor key/june', 32)));
    const people = [acme.person('u-1'), acme.person('u-2')];
    const hashes = [may, june].flatMap((maker) =>
      people.map((person) => maker(person).toString('hex')),
    );
    assert.equal(new Set(hashes).size, 4);
    assert.ok(hashes.every((hash) => hash.length === 16));
  });
});
