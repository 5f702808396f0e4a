import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ServiceError } from '../errors/service-error.ts';
import { joinFields, splitFields } from './wire.ts';

const fields = fc.array(
  fc
    .tuple(fc.integer({ min: 1, max: 536_870_911 }), fc.uint8Array({ maxLength: 300 }))
    .map(([fieldNumber, bytes]) => ({ fieldNumber, bytes: Buffer.from(bytes) })),
  { maxLength: 8 },
);

const malformed = { reason: 'MALFORMED_MESSAGE' };

describe('wire fields', () => {
  it('splits what it joined', () => {
    fc.assert(
      fc.property(fields, (sample) => {
        assert.deepEqual(splitFields(joinFields(sample)), sample);
      }),
    );
  });

  it('joins what it split into the same bytes, or refuses it', () => {
    const nearlyMessages = fc
      .tuple(fields, fc.uint8Array({ maxLength: 4 }), fc.nat())
      .map(([sample, splice, at]) => {
        const bytes = joinFields(sample);
        const cut = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, cut), splice, bytes.subarray(cut)]);
      });
    fc.assert(
      fc.property(nearlyMessages, (bytes) => {
        let split: ReturnType<typeof splitFields>;
        try {
          split = splitFields(bytes);
        } catch (error) {
          assert.ok(error instanceof ServiceError && error.reason === malformed.reason);
          return;
        }
        assert.deepEqual(joinFields(split), bytes);
      }),
      { numRuns: 2000 },
    );
  });

  for (const [what, hex] of [
    ['a varint field', '0801'],
    ['a fixed64 field', '090000000000000000'],
    ['a group', '0b0c'],
    ['field number 0', '0200'],
    ['a field longer than the message', '0a0561'],
    ['a cut tag', '8a'],
    ['a cut length', '0a80'],
    ['a padded length', '0a8100' + '61'],
    ['a padded tag', '8a0000'],
    ['a length of more than 32 bits', '0affffffffff01'],
    ['a tag of more than 32 bits', '8a8080808001' + '00'],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => splitFields(Buffer.from(hex, 'hex')), malformed);
    });
  }
});
