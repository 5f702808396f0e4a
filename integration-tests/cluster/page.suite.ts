/** Run by `run-page.ts` in the node's network namespace. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { serviceNames } from '@lethe/proto/access.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { type PageGiven, readGiven } from './given.ts';
import { valuesForHere } from './page-values.ts';
import { commandsOf, fileWrittenBy, kubernetesPage } from './page.ts';
import { registryHost } from './registry.ts';
import { createReport } from './report.ts';
import { issueSecrets, secretObjects, testSecret } from './secrets.ts';
import { type ClusterSystems, startClusterSystems } from './systems.ts';

const run = promisify(execFile);
const namespace = 'lethe';
const release = 'lethe';
const outputBytesMax = 64 * 1024 * 1024;
const linesReported = 40;

describe('from four endpoints and the named Secrets to a running release, by the commands of the page', function () {
  this.timeout(1_800_000);
  this.bail(true);
  const given = readGiven<PageGiven>(process.env['LETHE_CLUSTER'], 'npm run test:page');
  const report = createReport(given.reportFile);
  const blocks = commandsOf(kubernetesPage(given.checkout));
  const folder = makeFolder();
  let systems: ClusterSystems;
  let token = '';

  /** As a person types it, in the checkout; `outside` in the network of the machine, as pods' addresses need the node's. */
  const shell = async (block: string, where: 'outside' | 'inside'): Promise<string> => {
    const outside = ['nsenter', `--net=/proc/${given.outsidePid}/ns/net`, '--'];
    const words = ['bash', '-euo', 'pipefail', '-c', `exec 2>&1\n${block}`];
    const [program = '', ...args] = where === 'outside' ? [...outside, ...words] : words;
    const options = { cwd: given.checkout, env: given.env, maxBuffer: outputBytesMax };
    try {
      const { stdout } = await run(program, args, options);
      return stdout.trimEnd();
    } catch (error) {
      const { stdout = '' } = error as { readonly stdout?: string };
      throw new Error(`${block.split('\n')[0]}:\n${stdout.slice(-5_000)}`, { cause: error });
    }
  };
  const typed = async (block: string, where: 'outside' | 'inside'): Promise<string> => {
    const startedMs = performance.now();
    const said = await shell(block, where);
    report.took(`command ${blocks.length - left.length} of ${blocks.length}`, startedMs);
    const end = said.split('\n').slice(-linesReported).join('\n');
    report.block(`$ ${block}\n${end}`.replaceAll(token, '…'));
    return said;
  };
  const left = [...blocks];
  /** The next command of the page, which must be the one that is meant. */
  const next = (start: string): string => {
    const block = left.shift() ?? '';
    assert.ok(block.startsWith(start), `${block} does not start with ${start}`);
    return block;
  };
  const filled = (block: string, from: string, to: string): string => {
    assert.ok(block.includes(from), `${block} has no ${from}`);
    return block.replaceAll(from, to);
  };

  before(async () => {
    assert.ok(blocks.length <= 6, `${blocks.length} commands`);
    systems = await startClusterSystems(given.address, folder, given.vaultBinary);
    report.line(`${[...systems.versions, 'the ClickHouse engine over HTTP'].join(', ')}, on TLS`);
    const secrets = issueSecrets(systems, namespace, release, folder);
    const tests = testSecret(folder);
    token = tests.token;
    mkdirSync(path.join(given.checkout, 'secrets'));
    for (const [name, entries] of Object.entries({ ...secrets, 'lethe-test': tests })) {
      const file = path.join(given.checkout, 'secrets', `${name}.json`);
      writeFileSync(file, secretObjects({ [name]: entries }, namespace), { mode: 0o600 });
    }
  });
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    const asked = ['get pods -o wide', 'get events --sort-by=.lastTimestamp'].map((words) =>
      shell(`kubectl --namespace ${namespace} ${words}`, 'inside'),
    );
    for (const each of await Promise.allSettled(asked)) {
      console.log(each.status === 'fulfilled' ? each.value : each.reason);
    }
  });
  after(async () => {
    await systems?.stop();
    removeFolder(folder);
    report.write();
  });

  it('installs what the commands need', async () => {
    await typed(next('npm ci'), 'outside');
  });

  it('builds the images, pushes them and writes their digests', async () => {
    const block = filled(next('npm run images'), 'registry.example.net', registryHost);
    // No registry's images can be pulled here: the base is made of this machine.
    await typed(`${block} --stand-in`, 'outside');
  });

  it('makes the namespace and the Secrets', async () => {
    const said = await typed(next('kubectl '), 'inside');
    assert.match(said, /^namespace\/lethe created$/m);
  });

  it('writes what is ours', async () => {
    const block = next('cat > ');
    const text = fileWrittenBy(block)?.text ?? '';
    const filledIn = valuesForHere(text, systems, given.address);
    await typed(filled(block, text, filledIn), 'inside');
  });

  it('installs the chart, and every service is ready, of the images that were pushed', async () => {
    const said = await typed(next('helm install'), 'inside');
    assert.match(said, /^STATUS: deployed$/m);
    const state = '.status.containerStatuses[0]';
    const columns = `{${state}.imageID}{" since "}{${state}.state.running.startedAt}{"\\n"}`;
    const ready = `--selector app.kubernetes.io/instance=${release} --field-selector status.phase=Running`;
    const pods = await shell(
      `kubectl --namespace ${namespace} get pods ${ready} --output 'jsonpath={range .items[*]}${columns}{end}'`,
      'inside',
    );
    for (const name of serviceNames) {
      const pulled = `${registryHost}/lethe/${name}@sha256:`;
      assert.ok(pods.includes(pulled), `${pulled} is not among\n${pods}`);
    }
    report.block(pods);
  });

  it('passes helm test', async () => {
    const said = await typed(next('helm test'), 'inside');
    assert.match(said, /Phase:\s+Succeeded/);
    assert.match(said, /the certificate holds/);
    assert.deepEqual(left, []);
  });
});
