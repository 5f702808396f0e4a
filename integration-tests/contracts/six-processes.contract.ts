import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { checkHealth, type ServingStatus } from '@lethe/cli/calls/health.ts';
import type { Canary } from '@lethe/cli/generator/canaries.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { type SixProcesses, startSixProcesses } from '../../deploy/local/six-processes.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { leftByTour } from '../harness/left-by-tour.ts';
import { jsonLine, jsonLines, runLethe } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { findForeignClient } from './foreign-client.ts';
import { foreignClientTests } from './foreign-client-tests.ts';
import { leaseRefusalTests } from './lease-refusals.ts';
import { vaultBinary } from './vault-binary.ts';

const anchor = new Date().toISOString().slice(0, 10);
const helpDesk = ['--events', '4000', '--tenants', '3', '--days', '30', '--anchor', anchor];
const servingWithinMs = 90_000;
/** The exit code of a command that no server answers. */
const unreachable = 3;

interface Status {
  readonly healthy: boolean;
  readonly totals: readonly { readonly metric: string; readonly exact: number }[];
}

const foreignClient = await findForeignClient();

describe('six processes on Kafka, PostgreSQL, ClickHouse over HTTP and Vault', function () {
  this.timeout(600_000);
  let six: SixProcesses;
  let keeper: ProcessKeeper;
  let folder: string;

  before(async function () {
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: six processes: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      this.skip();
    }
    folder = makeFolder();
    keeper = createProcessKeeper();
    // Those that others wait for come last.
    const order = ['analytics', 'usage', 'predictions', 'tickets', 'privacy', 'keys'] as const;
    six = await startSixProcesses({ vaultBinary: binary, order, logLevel: 'debug' });
    console.log(`    Kafka ${six.kafka.version}, ${six.postgres.version}, ${six.vault.version}`);
  });
  after(async () => {
    await keeper?.stopAll();
    await six?.stop();
    if (folder !== undefined) removeFolder(folder);
  });
  const lethe = async (...args: readonly string[]) =>
    await runLethe(keeper, [...args, '--data', six.dataFolder]);
  const status = async () => jsonLine<Status>(await lethe('status', '--json'));

  it('take every event while each of them is stopped and started in turn', async () => {
    const send = async () => await lethe('generate', '--send', ...helpDesk);
    // The command gives up when a service is away for longer than two minutes.
    const sendUntilSent = async (): Promise<void> => {
      const { exitCode, stderr } = await send();
      assert.ok(exitCode === 0 || exitCode === unreachable, stderr);
      if (exitCode !== 0) await sendUntilSent();
    };
    const sending = sendUntilSent();
    for (const name of serviceNames) {
      const service = six.service(name);
      assert.equal(await service.end('SIGTERM'), 0, `${name} drains and exits 0`);
      service.start();
      await service.untilServing(servingWithinMs);
    }
    await sending;
  });

  // What was sent above is sent once more: each event that was lost or counted twice meanwhile would show.
  it('tour with the totals and the erasure of one process on embedded stores', async () => {
    const toured = await lethe('tour', ...helpDesk);
    assert.equal(toured.exitCode, 0, toured.stdout + toured.stderr);
    assert.match(toured.stdout, /totals are equal before and after/);
    assert.match(toured.stdout, /The certificate holds\./);
    const embedded = join(folder, 'embedded');
    const ports = ['--port', '0', '--health-port', '0'];
    const up = ['up', '--tour', '--once', '--data', embedded, ...helpDesk, ...ports];
    const standalone = await runLethe(keeper, up);
    assert.equal(standalone.exitCode, 0, standalone.stderr);
    assert.deepEqual(leftByTour(six.dataFolder), leftByTour(embedded));
    assert.equal((await status()).healthy, true);
  });

  it('answer on one address for what is parked, and rebuild what each of them has', async () => {
    const { inAll } = jsonLine<{ readonly inAll: unknown }>(
      await lethe('parked', 'list', '--json'),
    );
    const none = { streams: 0, events: 0 };
    assert.deepEqual(inAll, [
      { service: 'analytics', ...none },
      { service: 'predictions', ...none },
    ]);
    for (const what of ['tickets', 'predictions', 'usage', 'ledger']) {
      const rebuilt = await lethe('rebuild', what, '--check');
      assert.equal(rebuilt.exitCode, 0, rebuilt.stdout + rebuilt.stderr);
    }
  });

  it('know one process of keys alone: a second waits, and goes on when the first ends', async () => {
    const keys = six.service('keys');
    const second = await six.anotherOf('keys');
    second.start();
    await until(
      async () => (await second.health())?.waitsFor?.includes('another process of keys') === true,
      servingWithinMs,
    );
    assert.equal(await keys.end('SIGTERM'), 0);
    await second.untilServing(servingWithinMs);
    assert.equal(await second.end('SIGTERM'), 0);
    keys.start();
    await keys.untilServing(servingWithinMs);
  });

  it('may be two of one service: the second starts beside the first, and serves when it is alone', async () => {
    const second = await six.anotherOf('usage');
    second.start();
    await second.untilServing(servingWithinMs);
    const first = six.service('usage');
    assert.equal(await first.end('SIGTERM'), 0);
    first.start();
    await first.untilServing(servingWithinMs);
    assert.equal(await second.end('SIGTERM'), 0);
  });

  it('say by grpc.health.v1 that they stop, while they serve on for the delay of their drain', async () => {
    const second = await six.anotherOf('usage');
    second.start({ LETHE_DRAIN_DELAY_MS: '10000' });
    await second.untilServing(servingWithinMs);
    const authority = readFileSync(join(six.dataFolder, 'authority.pem'));
    const client = new Client(second.publicAddress, credentials.createSsl(authority));
    const check = async (service: string) =>
      await new Promise<ServingStatus | undefined>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = checkHealth;
        const answered = (error: Error | null, answer?: ServingStatus) =>
          error === null ? resolve(answer) : reject(error);
        const asked = { service };
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, asked, answered);
      });
    try {
      assert.equal(await check(''), 'serving');
      const ending = second.end('SIGTERM');
      await until(async () => (await second.health())?.phase === 'stopping');
      assert.deepEqual([await check(''), await check('usage')], ['not serving', 'not serving']);
      assert.equal(await ending, 0);
    } finally {
      client.close();
    }
  });

  it('refuse a schema that a newer version migrated, and say so', async () => {
    const usage = six.service('usage');
    await usage.end('SIGTERM');
    six.sql(`insert into usage.kysely_migration (name, timestamp) values ('9999-newer', 'now')`);
    usage.start();
    assert.equal(await usage.ended(), 1);
    assert.match(readFileSync(usage.logFile, 'utf8'), /"fatal".*SCHEMA_NEWER.*9999-newer/);
    six.sql(`delete from usage.kysely_migration where name = '9999-newer'`);
    usage.start();
    await usage.untilServing(servingWithinMs);
  });

  it('say that a TLS file is wrong, go on with the old one, and take up the right one', async () => {
    const usage = six.service('usage');
    const file = join(six.dataFolder, 'tls', 'usage.pem');
    const right = readFileSync(file);
    const problemsAre = async (form: RegExp) =>
      await until(
        async () => form.test((await usage.health())?.problems.join() ?? ''),
        servingWithinMs,
      );
    writeFileSync(file, 'rubbish');
    await problemsAre(/holds no certificate in PEM/);
    assert.equal((await usage.health())?.phase, 'serving');
    assert.equal((await status()).totals.length > 0, true);
    writeFileSync(file, right);
    await problemsAre(/^$/);
  });

  it('wait for Kafka and PostgreSQL, and end when told to meanwhile', async () => {
    const usage = six.service('usage');
    await usage.end('SIGTERM');
    await six.kafka.kill();
    await six.postgres.stop();
    // It lost the lock that makes it the only one, and another might go on: whoever looks after it starts it again.
    assert.equal(await six.service('keys').ended(), 1);
    usage.start();
    const waitsFor = async (form: RegExp) =>
      await until(async () => form.test((await usage.health())?.waitsFor ?? ''), servingWithinMs);
    await waitsFor(/^database: STORE_UNAVAILABLE/);
    assert.equal(await usage.end('SIGTERM'), 0);
    usage.start();
    await six.postgres.start();
    await waitsFor(/^event log: STORE_UNAVAILABLE/);
    await six.kafka.startAgain();
    six.service('keys').start();
    await usage.untilServing(servingWithinMs);
    await until(async () => (await status()).healthy, servingWithinMs);
  });

  /** The personal texts of the help desk. */
  const canaries = async () =>
    jsonLines<Canary>(await runLethe(keeper, ['generate', '--canaries', ...helpDesk]));

  describe('leave on Kafka, for a client that is not theirs,', () => {
    // Said at the start where there is none.
    if (foreignClient === undefined) return;
    foreignClientTests(foreignClient, async () => ({
      address: six.kafka.address,
      canaries: await canaries(),
    }));
  });

  describe('lease by certificate', () => {
    let tenantId = '';
    before(async () => {
      tenantId = (await canaries())[0]?.tenantId ?? '';
    });
    leaseRefusalTests(
      () => six,
      () => tenantId,
    );
  });
});
