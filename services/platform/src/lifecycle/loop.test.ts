import assert from 'node:assert/strict';
import { ServiceError } from '../errors/service-error.ts';
import { until } from '../testing/until.ts';
import { systemClock } from './clock.ts';
import { createLoop, type Loop, type LoopOptions } from './loop.ts';
import { createWakeable } from './wakeable.ts';

describe('a loop', () => {
  const running: Loop[] = [];
  afterEach(async () => {
    for (const loop of running.splice(0)) await loop.stop();
  });
  const loopOf = (options: Partial<LoopOptions> & Pick<LoopOptions, 'run'>): Loop => {
    const loop = createLoop({
      name: 'test',
      clock: systemClock,
      // Far beyond the test's timeout: nothing happens by poll.
      pollMs: 600_000,
      onError: () => {},
      backoffMs: { first: 1, max: 2 },
      ...options,
    });
    running.push(loop);
    return loop;
  };

  it('runs once, then when it is woken, also when that happens during a round', async () => {
    let rounds = 0;
    const first = Promise.withResolvers<undefined>();
    const loop = loopOf({
      run: async () => {
        rounds += 1;
        if (rounds === 1) await first.promise;
        return 'idle';
      },
    });
    loop.start();
    loop.wake();
    first.resolve(undefined);
    await until(() => rounds === 2);
    loop.wake();
    await until(() => rounds === 3);
  });

  it('goes on at once while there is more', async () => {
    let rounds = 0;
    const loop = loopOf({ run: async () => ((rounds += 1) < 5 ? 'again' : 'idle') });
    loop.start();
    await until(() => rounds === 5);
  });

  it('runs by itself after its rest', async () => {
    let rounds = 0;
    const loop = loopOf({
      pollMs: 1,
      run: async () => {
        rounds += 1;
        return 'idle';
      },
    });
    loop.start();
    await until(() => rounds >= 3);
  });

  it('has no word of an unexpected error in its problem', async () => {
    const loop = loopOf({
      run: async () => {
        throw new TypeError('maria@example.com is no number');
      },
    });
    loop.start();
    await until(() => loop.problem() !== undefined);
    assert.match(loop.problem() ?? '', /^test: INTERNAL_DEFECT: TypeError at .*loop\.test\.ts/);
  });

  it('tells every failure, has a problem after five in a row, and none once it succeeds', async () => {
    const delays: number[] = [];
    let failing = true;
    const loop = loopOf({
      run: async () => {
        if (failing) throw new ServiceError('STORE_UNAVAILABLE', 'the store is away');
        return 'idle';
      },
      onError: (error, delayMs) => {
        assert.match(String(error), /the store is away/);
        delays.push(delayMs);
      },
    });
    loop.start();
    await until(() => delays.length >= 4);
    await until(() => loop.problem() === 'test: STORE_UNAVAILABLE: the store is away');
    assert.deepEqual(delays.slice(0, 4), [1, 2, 2, 2]);
    assert.ok(delays.length >= 5);
    failing = false;
    await until(() => loop.problem() === undefined);
  });

  it('has no problem any more once a round that lasts says that it goes well', async () => {
    let failures = 0;
    const loop = loopOf({
      run: async (signal, goesWell) => {
        failures += 1;
        if (failures <= 6) throw new ServiceError('STORE_UNAVAILABLE');
        await until(() => failures > 10);
        goesWell();
        await systemClock.sleep(600_000, signal).catch(() => undefined);
        return 'idle';
      },
    });
    loop.start();
    await until(() => failures === 7);
    assert.notEqual(loop.problem(), undefined);
    failures = 11;
    await until(() => loop.problem() === undefined);
  });

  it('stops after the round in progress, which sees the signal', async () => {
    let ended = false;
    const began = Promise.withResolvers<undefined>();
    const loop = loopOf({
      run: async (signal) => {
        began.resolve(undefined);
        while (!signal.aborted) await systemClock.sleep(1);
        ended = true;
        return 'again';
      },
    });
    loop.start();
    await began.promise;
    await loop.stop();
    assert.ok(ended);
    await loop.stop();
  });
});

describe('a wakeable', () => {
  it('keeps a wake that comes before the wait, once', async () => {
    const wakeable = createWakeable(systemClock);
    const { signal } = new AbortController();
    wakeable.wake();
    wakeable.wake();
    await wakeable.wait(600_000, signal);
    const second = wakeable.wait(600_000, signal);
    wakeable.wake();
    await second;
  });

  it('ends its wait when the signal fires, also one that fired before', async () => {
    const wakeable = createWakeable(systemClock);
    const aborting = new AbortController();
    const waiting = wakeable.wait(600_000, aborting.signal);
    aborting.abort();
    await waiting;
    await wakeable.wait(600_000, aborting.signal);
  });
});
