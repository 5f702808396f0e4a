import assert from 'node:assert/strict';
import { failureFields, failureText, placeOf, reasonOf } from './failure.ts';
import { ServiceError } from './service-error.ts';

const canary = 'Ada Canary <ada@canary.example>';

function thrown(work: () => void): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}

const defect = (): Error => thrown(() => JSON.parse(`{"name": ${canary}`));

describe('a failure in the log', () => {
  it('is a reason alone when it is ours', () => {
    const error = new ServiceError('KEYS_UNAVAILABLE', 'keys away', { cause: new Error(canary) });
    assert.deepEqual(failureFields(error), { reason: 'KEYS_UNAVAILABLE' });
    assert.equal(failureText(error), 'KEYS_UNAVAILABLE: keys away');
  });

  it('has class and place when it is not ours, and no word of its message', () => {
    const error = defect();
    const { reason, problem } = failureFields(error);
    assert.equal(reason, 'INTERNAL_DEFECT');
    assert.match(problem ?? '', /^SyntaxError at JSON\.parse/);
    assert.equal(failureText(error), `INTERNAL_DEFECT: ${problem}`);
    assert.ok(!failureText(error).includes('Ada'));
  });

  it('has the place of what a defect was made of', () => {
    const error = new ServiceError('INTERNAL_DEFECT', undefined, { cause: defect() });
    assert.match(failureFields(error).problem ?? '', /^SyntaxError at JSON\.parse/);
    assert.match(
      failureFields(new ServiceError('INTERNAL_DEFECT')).problem ?? '',
      /^ServiceError INTERNAL at /,
    );
  });

  it('names a code of the system or the database, where there is one', () => {
    const full = Object.assign(new Error(canary), { code: 'ENOSPC' });
    assert.match(placeOf(full), /^Error ENOSPC at /);
    const refused = Object.assign(new Error(canary), { sqlState: '42P01' });
    assert.match(placeOf(refused), /^Error 42P01 at /);
    assert.match(placeOf(Object.assign(new Error(canary), { code: canary })), /^Error at /);
  });

  it('takes no line of a message for a place', () => {
    const error = new Error(`refused\n    at ${canary} (x:1:1)`);
    assert.match(placeOf(error), /^Error at Context/);
    // A message that was changed later: the stack still begins with the old one.
    error.message = 'changed';
    assert.ok(!placeOf(error).includes('Ada'), placeOf(error));
    error.stack = `Error: ${canary}`;
    assert.equal(placeOf(error), 'Error of an unknown place');
  });

  it('has the innermost place of work done together', async () => {
    const together = Promise.all([1, 2].map(async () => JSON.parse(canary)));
    const error = await together.catch((failure: unknown) => failure);
    assert.match(placeOf(error), /^SyntaxError at JSON\.parse/);
  });

  it('may be anything that was thrown', () => {
    assert.equal(placeOf(canary), 'no error but a string');
    assert.equal(placeOf(undefined), 'no error but a undefined');
  });

  it('is an unavailable store when a connection was lost', () => {
    assert.equal(
      reasonOf(Object.assign(new Error('gone'), { code: 'ECONNRESET' })),
      'STORE_UNAVAILABLE',
    );
    assert.deepEqual(failureFields(new ServiceError('STORE_UNAVAILABLE')), {
      reason: 'STORE_UNAVAILABLE',
    });
  });
});
