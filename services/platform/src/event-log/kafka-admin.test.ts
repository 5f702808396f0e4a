import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { SharedAdmin } from './kafka-admin.ts';

describe('the shared administrative client', () => {
  let calls: string[];
  let shared: SharedAdmin;
  let refusesConnections: boolean;

  beforeEach(() => {
    calls = [];
    refusesConnections = false;
    let clients = 0;
    const admin = (): Admin => {
      const name = (clients += 1);
      const client: Partial<Admin> = {
        connect: async () => {
          calls.push(`connect ${name}`);
          await turn();
          if (refusesConnections) throw new Error('no broker');
        },
        disconnect: async () => {
          calls.push(`disconnect ${name}`);
          throw new Error('already gone');
        },
        listTopics: async () => [`of ${name}`],
      };
      return client as Admin;
    };
    shared = new SharedAdmin({ admin });
  });

  const listTopics = async (admin: Admin) => admin.listTopics();
  const fail = async () => {
    throw new Error('refused');
  };

  it('connects once for all who ask at the same time, and disconnects at the end', async () => {
    const answers = await Promise.all([shared.ask(listTopics), shared.ask(listTopics)]);
    assert.deepEqual(answers, [['of 1'], ['of 1']]);
    assert.deepEqual(calls, ['connect 1']);
    await shared.close();
    assert.deepEqual(calls, ['connect 1', 'disconnect 1']);
  });

  it('makes another after a failure, and leaves the former to those who still ask it', async () => {
    const { promise: waited, resolve: goOn } = Promise.withResolvers<undefined>();
    const slow = shared.ask(async (admin) => {
      await waited;
      return await listTopics(admin);
    });
    await assert.rejects(shared.ask(fail), /refused/);
    assert.deepEqual(await shared.ask(listTopics), ['of 2']);
    assert.deepEqual(calls, ['connect 1', 'connect 2']);
    goOn(undefined);
    assert.deepEqual(await slow, ['of 1']);
    assert.deepEqual(calls, ['connect 1', 'connect 2', 'disconnect 1']);
  });

  it('ends a client that cannot connect', async () => {
    refusesConnections = true;
    const both = [shared.ask(listTopics), shared.ask(listTopics)];
    for (const each of both) await assert.rejects(each, /no broker/);
    await turn();
    assert.deepEqual(calls, ['connect 1', 'disconnect 1']);
    refusesConnections = false;
    assert.deepEqual(await shared.ask(listTopics), ['of 2']);
  });
});
