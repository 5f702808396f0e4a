import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { createJumpingClock } from '../testing/captured.ts';
import { CallError } from './call-error.ts';
import { retryDelayMs, retryPolicy, withRetry, type Retry } from './retry.ts';

const callError = (code: status, wish: { reason?: string; retryDelayMs?: number } = {}) =>
  new CallError(code, '', 'host:1', {
    reason: wish.reason,
    violations: [],
    retryDelayMs: wish.retryDelayMs,
  });

const first = { count: 1, forMs: 0 };

const meansWith = (clock = createJumpingClock()) => ({
  clock,
  randomFraction: () => 0.5,
  signal: new AbortController().signal,
});

describe('the retry policy', () => {
  it('retries what may succeed later, and nothing else', () => {
    const retried = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED];
    for (const code of Object.values(status).filter((value) => typeof value === 'number')) {
      const delayMs = retryDelayMs(callError(code, { reason: 'TOO_MUCH_PENDING' }), first, 0);
      assert.equal(delayMs !== undefined, retried.includes(code), status[code]);
    }
    assert.equal(retryDelayMs(new Error('x'), first, 0), undefined);
  });

  it('does not send again what the transport finds too large', () => {
    assert.equal(retryDelayMs(callError(status.RESOURCE_EXHAUSTED), first, 0), undefined);
  });

  it('waits as long as the server asks for, within a bound', () => {
    const asked = (retryDelayMs_: number) =>
      retryDelayMs(callError(status.RESOURCE_EXHAUSTED, { retryDelayMs: retryDelayMs_ }), first, 0);
    assert.equal(asked(1234), 1234);
    assert.equal(asked(3_600_000), retryPolicy.askedDelayMaxMs);
  });

  it('stays within its bounds at every attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (count, fraction) => {
          const failures = { count, forMs: retryPolicy.giveUpAfterMs - 1 };
          const delayMs = retryDelayMs(callError(status.UNAVAILABLE), failures, fraction) ?? -1;
          return delayMs >= 50 && delayMs <= retryPolicy.delayMaxMs;
        },
      ),
    );
  });

  it('gives up two minutes after the first failure, with the last error', async () => {
    const clock = createJumpingClock();
    let calls = 0;
    const failing = withRetry(meansWith(clock), async () => {
      calls += 1;
      await Promise.resolve();
      throw callError(status.UNAVAILABLE, { reason: `try ${calls}` });
    });
    await assert.rejects(
      failing,
      (error) => error instanceof CallError && error.details.reason === `try ${calls}`,
    );
    const sum = (someMs: readonly number[]) => someMs.reduce((total, each) => total + each, 0);
    assert.deepEqual(clock.sleptMs.slice(0, 8), [75, 150, 300, 600, 1200, 2400, 3750, 3750]);
    assert.ok(sum(clock.sleptMs) >= 120_000);
    assert.ok(sum(clock.sleptMs.slice(0, -1)) < 120_000);
  });

  it('bridges a process that is away for as long as a machine takes to be replaced', async () => {
    const clock = createJumpingClock();
    const backAtMs = clock.monotonicMs() + 90_000;
    const retries: Retry[] = [];
    const means = { ...meansWith(clock), onRetry: (retry: Retry) => void retries.push(retry) };
    const result = await withRetry(means, async () => {
      await Promise.resolve();
      if (clock.monotonicMs() < backAtMs) throw callError(status.UNAVAILABLE);
      return 'done';
    });
    assert.equal(result, 'done');
    assert.equal(retries.length, clock.sleptMs.length);
    assert.deepEqual(
      retries.slice(0, 3).map(({ count, forMs }) => [count, forMs]),
      [
        [1, 0],
        [2, 75],
        [3, 225],
      ],
    );
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
