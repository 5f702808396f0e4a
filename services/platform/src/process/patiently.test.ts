import assert from 'node:assert/strict';
import { pino } from 'pino';
import { ServiceError } from '../errors/service-error.ts';
import { createHandClock } from '../testing/hand-clock.ts';
import { patiently } from './patiently.ts';

describe('what a process needs to start', () => {
  function world() {
    const stopping = new AbortController();
    const waitedFor: (string | undefined)[] = [];
    const patience = {
      clock: createHandClock(),
      logger: pino({ level: 'silent' }),
      stopping: stopping.signal,
      onWait: (waitsFor: string | undefined) => void waitedFor.push(waitsFor),
    };
    let attempts = 0;
    const failing = (reason: 'STORE_UNAVAILABLE' | 'STORE_ACCESS_DENIED', times: number) => {
      return async (): Promise<string> => {
        attempts += 1;
        if (attempts <= times) throw new ServiceError(reason, 'as it is');
        return 'open';
      };
    };
    return { stopping, waitedFor, patience, failing, attempts: () => attempts };
  }

  it('is waited for while it is away, and told', async () => {
    const { waitedFor, patience, failing } = world();
    const opened = await patiently('database', failing('STORE_UNAVAILABLE', 2), patience);
    assert.equal(opened, 'open');
    const wait = 'database: STORE_UNAVAILABLE: as it is';
    assert.deepEqual(waitedFor, [wait, wait, undefined]);
  });

  it('ends the process at once where it refuses the login: its settings were read already', async () => {
    const { patience, failing, attempts } = world();
    const opening = patiently('database', failing('STORE_ACCESS_DENIED', 9), patience);
    await assert.rejects(opening, { reason: 'STORE_ACCESS_DENIED' });
    assert.equal(attempts(), 1);
  });

  it('is not waited for by a process that is to stop', async () => {
    const { stopping, patience, failing } = world();
    const attempt = failing('STORE_UNAVAILABLE', 9);
    const opening = patiently(
      'database',
      async () => {
        stopping.abort();
        return await attempt();
      },
      patience,
    );
    await assert.rejects(opening, { reason: 'SHUTTING_DOWN' });
  });
});
