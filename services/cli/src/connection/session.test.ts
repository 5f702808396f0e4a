import assert from 'node:assert/strict';
import { checkHealth } from '../calls/health.ts';
import { clearLine } from '../output/progress.ts';
import { captureSurroundings, createJumpingClock } from '../testing/captured.ts';
import type { Surroundings } from '../surroundings.ts';
import { openSession } from './session.ts';

const nobody = { server: '127.0.0.1:1', token: 'x', data: '' };

/** Two calls at the same time to a server that is away. */
async function callTwice(surroundings: Surroundings): Promise<void> {
  const session = await openSession(nobody, surroundings);
  try {
    const call = async () => await session.anonymous.unary(checkHealth, { service: '' });
    await Promise.allSettled([call(), call()]);
  } finally {
    session.close();
  }
}

describe('a session', () => {
  it('says on a terminal, once, that it waits for a server that does not answer', async () => {
    const { surroundings, err } = captureSurroundings({ clock: createJumpingClock(Date.now()) });
    await callTwice(surroundings);
    assert.equal(err(), '');
    const terminal = { ...surroundings.terminal, isErrTerminal: true };
    await callTwice({ ...surroundings, terminal });
    const said = 'No server answers at 127.0.0.1:1. Trying again for 2 min 00 s; Ctrl-C ends it.\n';
    assert.equal(err(), `${clearLine}${said}`);
  });
});
