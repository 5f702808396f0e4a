import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { createJumpingClock } from '../testing/captured.ts';
import { CallError } from './call-error.ts';
import { retryDelayMs, retryPolicy, withRetry } from './retry.ts';

const callError = (code: status, wish: { reason?: string; retryDelayMs?: number } = {}) =>
  new CallError(code, '', 'host:1', {
    reason: wish.reason,
    violations: [],
    retryDelayMs: wish.retryDelayMs,
  });

const meansWith = (clock = createJumpingClock()) => ({
  clock,
  randomFraction: () => 0.5,
  signal: new AbortController().signal,
});

describe('the retry policy', () => {
  it('retries what may succeed later, and nothing else', () => {
    const retried = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];
    for (const code of Object.values(status).filter((value) => typeof value === 'number')) {
      const delayMs = retryDelayMs(callError(code, { reason: 'TOO_MUCH_PENDING' }), 1, 0);
      assert.equal(delayMs !== undefined, retried.includes(code), status[code]);
    }
    assert.equal(retryDelayMs(new Error('x'), 1, 0), undefined);
  });

  it('does not send again what the transport finds too large', () => {
    assert.equal(retryDelayMs(callError(status.RESOURCE_EXHAUSTED), 1, 0), undefined);
  });

  it('waits as long as the server asks for, within a bound', () => {
    const asked = (retryDelayMs_: number) =>
      retryDelayMs(callError(status.RESOURCE_EXHAUSTED, { retryDelayMs: retryDelayMs_ }), 1, 0);
    assert.equal(asked(1234), 1234);
    assert.equal(asked(3_600_000), retryPolicy.askedDelayMaxMs);
  });

  it('stays within its bounds at every attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, fraction) => {
          const delayMs = retryDelayMs(callError(status.UNAVAILABLE), attempt, fraction) ?? -1;
          return delayMs >= 50 && delayMs <= retryPolicy.delayMaxMs;
        },
      ),
    );
  });

  it('gives up after its last attempt with the last error', async () => {
    const clock = createJumpingClock();
    let calls = 0;
    const failing = withRetry(meansWith(clock), async () => {
      calls += 1;
      await Promise.resolve();
      throw callError(status.UNAVAILABLE, { reason: `try ${calls}` });
    });
    await assert.rejects(
      failing,
      (error) => error instanceof CallError && error.details.reason === 'try 6',
    );
    assert.equal(calls, retryPolicy.attemptsMax);
    assert.deepEqual(clock.sleptMs, [75, 150, 300, 600, 1200]);
  });

  it('answers the first success', async () => {
    let calls = 0;
    const result = await withRetry(meansWith(), async () => {
      calls += 1;
      if (calls < 3) throw callError(status.UNAVAILABLE);
      return await Promise.resolve('done');
    });
    assert.equal(result, 'done');
    assert.equal(calls, 3);
  });
});
