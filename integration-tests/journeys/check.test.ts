import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { jsonLines, runLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { type RunningServer, startServer } from '../harness/server.ts';
import { makeFolder } from '../harness/temporary-folder.ts';

const tenant = 'checks';

/** As the pod of `helm test` calls it: tokens and keys are files, and nobody has registered the tenant. */
describe('lethe check', function () {
  this.timeout(180_000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const data = path.join(folder, 'data');
  const file = (name: string) => path.join(folder, name);
  let server: RunningServer;

  const write = async (name: string, ...wish: readonly string[]) => {
    const { stdout } = await runLethe(keeper, ['token', '--data', data, ...wish]);
    writeFileSync(file(name), stdout);
  };
  const check = async (...more: readonly string[]) =>
    await runLethe(keeper, [
      'check',
      '--server',
      server.address,
      '--public-key',
      path.join(data, 'certificate-key.pem'),
      '--token-file',
      file('token'),
      ...more,
    ]);
  const asAdmin = ['--admin-token-file', file('admin-token')];

  before(async () => {
    server = await startServer(keeper, { dataFolder: data, logFile: file('server.log') });
    await write('token', '--tenant', tenant, '--role', 'writer,reader,privacy-officer');
  });
  after(async () => await keeper.stopAll());

  it('says that the tenant is unknown when nobody has registered it', async () => {
    const { exitCode, stderr } = await check(...asAdmin);
    assert.equal(exitCode, 1);
    assert.match(stderr, /TENANT_UNKNOWN/);
  });

  it('registers the tenant of its token once, where it is given one of an admin', async () => {
    await write('admin-token', '--role', 'platform-admin');
    const first = await check(...asAdmin);
    assert.equal(first.exitCode, 0, first.stderr);
    assert.match(first.stdout, /checks is registered/);
    assert.match(first.stdout, /the certificate holds\n.*does what it is for/s);
    const [again] = jsonLines<{ readonly ok: boolean; readonly steps: readonly string[] }>(
      await check(...asAdmin, '--json'),
    );
    assert.equal(again?.ok, true);
    assert.equal(again.steps[0], 'a ticket is appended');
    assert.equal(again.steps.at(-1), 'the certificate holds');
  });

  it('says which file lacks when its token is not there', async () => {
    const { exitCode, stderr } = await check('--token-file', file('none'));
    assert.equal(exitCode, 2);
    assert.match(stderr, /There is no file .*none/);
  });
});
