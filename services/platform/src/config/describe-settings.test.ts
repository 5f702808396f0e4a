import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { z } from 'zod';
import { ServiceError } from '../errors/service-error.ts';
import {
  describeSettings,
  settingsText,
  summaryText,
  unknownSettings,
} from './describe-settings.ts';
import { parseEnvironment } from './parse-environment.ts';
import { configInvalid, parseTogether } from './parse-together.ts';
import { Secret } from './secret.ts';

const schema = z.object({
  LETHE_A_URL: z.url().describe('Where A is.'),
  LETHE_A_COUNT: z.coerce.number().default(3).describe('How many.'),
  LETHE_A_FILE: z.string().optional().describe('A file.'),
});

describe('settings', () => {
  it('are told with meaning, default and whether they are needed', () => {
    const described = describeSettings(schema);
    assert.deepEqual(described[0], {
      name: 'LETHE_A_URL',
      meaning: 'Where A is.',
      fallback: undefined,
      isRequired: true,
    });
    const text = settingsText(described);
    assert.match(text, /LETHE_A_URL {2}\(required\)\n {6}Where A is\./);
    assert.match(text, /LETHE_A_COUNT {2}\(default 3\)/);
    assert.match(text, /LETHE_A_FILE\n/);
  });

  it('are summed up as they are set, without passwords', () => {
    const env = { LETHE_A_URL: 'postgres://me:s3cret@host/db', OTHER: 'x' };
    const text = summaryText(describeSettings(schema), env);
    assert.equal(text, '  LETHE_A_URL=postgres://me:[secret]@host/db\n');
  });

  it('that nobody knows are named', () => {
    const env = { LETHE_A_CUONT: '3', LETHE_A_COUNT: '3', PATH: '/' };
    assert.deepEqual(unknownSettings(describeSettings(schema), env), ['LETHE_A_CUONT']);
  });

  it('of several parsers are refused together', () => {
    const parse = () =>
      parseTogether('a', {
        one: () => parseEnvironment('a', schema, {}),
        two: () => {
          throw configInvalid('a', [{ field: 'LETHE_B', description: 'is wrong' }]);
        },
        three: () => 3,
      });
    assert.throws(parse, (error) => {
      assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
      assert.deepEqual(
        error.violations.map(({ field }) => field),
        ['LETHE_A_URL', 'LETHE_B'],
      );
      return true;
    });
  });

  it('do not hide a defect of a parser', () => {
    const parse = () =>
      parseTogether('a', {
        one: () => {
          throw new TypeError('defect');
        },
      });
    assert.throws(parse, TypeError);
  });
});

describe('a secret', () => {
  it('says nothing however it is printed, and its value when asked', () => {
    const secret = new Secret('s3cret');
    const printed = [String(secret), JSON.stringify({ secret }), inspect({ secret })];
    assert.ok(printed.every((text) => !text.includes('s3cret') && text.includes('[secret]')));
    assert.equal(secret.reveal(), 's3cret');
    assert.deepEqual(Object.keys(secret), []);
  });
});
