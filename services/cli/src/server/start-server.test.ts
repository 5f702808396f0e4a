import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { CliError } from '../failures/cli-error.ts';
import { captureSurroundings } from '../testing/captured.ts';
import type { Surroundings } from '../surroundings.ts';
import { type ServerWish, startServer } from './start-server.ts';

const serverMain = fileURLToPath(new URL('../testing/server-process.ts', import.meta.url));
// The waiting bounds are minutes: a clock whose sleeps never end keeps them out of these tests.
const patientClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (_durationMs: number, signal?: AbortSignal) => {
    await new Promise<void>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('no longer waited for')), {
        once: true,
      });
    });
  },
};

const start = async (
  behaviour: string,
  wish: Partial<Surroundings> = {},
  systems: Partial<ServerWish> = {},
) => {
  const { surroundings } = captureSurroundings({ clock: patientClock, ...wish });
  const childEnvironment = { BEHAVIOUR: behaviour };
  return await startServer(
    { data: 'the folder', port: 7777, ...systems },
    { ...surroundings, childEnvironment },
    serverMain,
  );
};

const explained = (what: RegExp, reason?: string) => (error: unknown) =>
  error instanceof CliError && what.test(error.message) && error.explanation.reason === reason;

describe('the server of `lethe up`', () => {
  it('is given its settings, is waited for, and ends when asked to', async () => {
    const server = await start('serves');
    assert.equal(server.address, '7777');
    assert.equal(server.healthAddress, 'the folder');
    await server.stop();
    await server.stop();
  });

  it('says why it cannot start', async () => {
    await assert.rejects(start('fails'), explained(/^Port 7480 is taken\.$/, 'PORT_IN_USE'));
  });

  it('is told of real systems by the variables of the services', async () => {
    const systems = {
      kafka: 'k:9092',
      postgres: 'postgres://me@db/lethe',
      vault: 'https://v:8200',
      clickhouse: 'https://c:8443',
    };
    const server = await start('is elsewhere', {}, systems);
    const said = [systems.kafka, systems.postgres, 'vault https://v:8200', systems.clickhouse];
    assert.deepEqual(server.places, said);
    await server.stop();
  });

  it('names the settings that it refuses as they were written', async () => {
    await assert.rejects(start('refuses'), (error) => {
      assert.ok(error instanceof CliError);
      const { exitCode, brokenRules } = error.explanation;
      assert.equal(exitCode, 2);
      const fields = brokenRules.map(({ field }) => field);
      assert.deepEqual(fields, ['--postgres', '--health-port', 'LETHE_POSTGRES_TLS']);
      return true;
    });
  });

  it('may say why it ends while it serves', async () => {
    const server = await start('gives up');
    await assert.rejects(server.died, explained(/^The disk is full\.$/, 'STORE_FULL'));
    await server.stop();
  });

  it('is missed when it ends without a word', async () => {
    await assert.rejects(start('ends'), explained(/ended with status 7 before it was ready/));
  });

  it('is missed when it dies while it serves', async () => {
    const server = await start('dies');
    await assert.rejects(server.died, explained(/ended by SIGKILL while it was serving/));
    await server.stop();
  });

  it('is killed when it does not end', async () => {
    const impatient = {
      ...patientClock,
      sleep: async (durationMs: number, signal?: AbortSignal) => {
        if (durationMs !== 20_000) await patientClock.sleep(durationMs, signal);
      },
    };
    const server = await start('is stuck', { clock: impatient });
    await server.stop();
    await assert.rejects(server.died, explained(/SIGKILL/));
  });

  it('is stopped when the user does not want to wait', async () => {
    const controller = new AbortController();
    const starting = start('is silent', { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(starting, { name: 'AbortError' });
    await assert.rejects(start('serves', { signal: controller.signal }), { name: 'AbortError' });
  });
});
