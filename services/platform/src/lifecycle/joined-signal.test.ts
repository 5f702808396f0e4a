import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { joinSignals } from './joined-signal.ts';

describe('joinSignals', () => {
  it('fires with the first of them, for its reason, and listens to the others no more', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const { signal } = joinSignals(first.signal, undefined, second.signal);
    assert.equal(signal.aborted, false);
    const reason = new RangeError('enough');
    second.abort(reason);
    assert.equal(signal.reason, reason);
    assert.equal(getEventListeners(first.signal, 'abort').length, 0);
    first.abort(new RangeError('too late'));
    assert.equal(signal.reason, reason);
  });

  it('has fired at once when one of them has', () => {
    const [open, fired] = [new AbortController(), AbortSignal.abort('over')];
    const { signal } = joinSignals(open.signal, fired);
    assert.equal(signal.reason, 'over');
    assert.equal(getEventListeners(open.signal, 'abort').length, 0);
  });

  it('does not fire once it is released, and nothing holds it', () => {
    const source = new AbortController();
    const { signal, release } = joinSignals(source.signal);
    release();
    assert.equal(getEventListeners(source.signal, 'abort').length, 0);
    source.abort();
    assert.equal(signal.aborted, false);
  });

  it('fires for whoever listens though nobody holds it and memory was collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    const source = new AbortController();
    const fired = Promise.withResolvers<void>();
    joinSignals(joinSignals(source.signal).signal).signal.addEventListener('abort', () =>
      fired.resolve(),
    );
    for (let times = 0; times < 5; times += 1) {
      if (typeof collect === 'function') Reflect.apply(collect, undefined, []);
      await new Promise((resolve) => setImmediate(resolve));
    }
    source.abort();
    await fired.promise;
  });
});
