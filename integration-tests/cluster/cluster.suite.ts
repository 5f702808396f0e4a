/** Run by `run.ts` in the node's network namespace. */
import assert from 'node:assert/strict';
import { serviceNames } from '@lethe/proto/access.ts';
import type { PathRouter } from '../../deploy/local/path-router.ts';
import { runLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { type ClusterGiven, readGiven } from './given.ts';
import { releaseTools } from './release-tools.ts';
import { createReport } from './report.ts';
import { secretObjects, testSecret } from './secrets.ts';
import { type ClusterSystems, startClusterSystems } from './systems.ts';
import { clusterValues } from './values.ts';

const namespace = 'lethe';
const tenant = 'cluster-check';

describe('six pods on a real node, with Kafka, PostgreSQL, ClickHouse over HTTP and Vault beside it', function () {
  this.timeout(1_800_000);
  const given = readGiven<ClusterGiven>(process.env['LETHE_CLUSTER'], 'npm run test:cluster');
  const report = createReport(given.reportFile);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  let systems: ClusterSystems;
  let router: PathRouter | undefined;
  const tools = releaseTools(given, namespace, folder);
  const { name: release, here, kubectl, helm, apply, pods } = tools;

  const lethe = async (...args: readonly string[]) =>
    await runLethe(keeper, [...args, '--data', folder]);
  before(async () => {
    systems = await startClusterSystems(given.address, folder, given.vaultBinary);
    report.line(`${[...systems.versions, 'the ClickHouse engine over HTTP'].join(', ')}, on TLS`);
    await tools.prepare(systems);
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await tools.sayPods();
  });
  after(async () => {
    await keeper.stopAll();
    await router?.close();
    await systems?.stop();
    removeFolder(folder);
    report.write();
  });

  it('become ready after one helm install, pinned by digest, under the restricted level', async () => {
    const startedMs = performance.now();
    await tools.install(clusterValues(systems, given.address, given.digests));
    report.took('helm install --wait', startedMs);
    const found = await pods();
    const byService = found.map(({ metadata }) => metadata.labels['app.kubernetes.io/component']);
    assert.deepEqual(new Set(byService), new Set(serviceNames));
    for (const { metadata, spec, status } of found) {
      const containers = status.containerStatuses ?? [];
      assert.ok(containers.length > 0 && containers.every(({ ready }) => ready), metadata.name);
      assert.match(spec.containers[0]?.image ?? '', /@sha256:[0-9a-f]{64}$/);
      const restarts = containers.map(({ restartCount }) => restartCount).join();
      report.line(`${metadata.name} is ready, restarts ${restarts}`);
    }
  });

  it('answer a client through one address, as an ingress would give it', async () => {
    router = await tools.openRouter();
    const registered = await lethe('tenant', 'register', tenant);
    assert.equal(registered.exitCode, 0, registered.stderr);
  });

  it('pass helm test: a ticket appended, read, its person erased, the certificate verified', async () => {
    const entries = testSecret(folder);
    await apply('test-secret.json', secretObjects({ 'lethe-test': entries }, namespace));
    const startedMs = performance.now();
    const said = await helm('test', release, ...here, '--logs', '--timeout', '10m');
    report.took('helm test', startedMs);
    report.block(said.replaceAll(entries.token, '…'));
    assert.match(said, /Phase:\s+Succeeded/);
  });

  it('tour a made-up help desk with equal totals and an erasure', async () => {
    const startedMs = performance.now();
    const toured = await lethe('tour', '--events', '2000', '--tenants', '2', '--days', '30');
    assert.equal(toured.exitCode, 0, toured.stdout + toured.stderr);
    assert.match(toured.stdout, /totals are equal before and after/);
    assert.match(toured.stdout, /The certificate holds\./);
    report.took('lethe tour with 2,000 events', startedMs);
  });

  it('restart one after another while events come in, and none is lost', async () => {
    const startedMs = performance.now();
    const sending = lethe(
      'generate',
      '--send',
      '--events',
      '2000',
      '--tenants',
      '2',
      '--days',
      '30',
    );
    for (const name of serviceNames) {
      await kubectl('rollout', 'restart', ...here, `deployment/${release}-${name}`);
      const status = ['rollout', 'status', ...here, `deployment/${release}-${name}`];
      await kubectl(...status, '--timeout=15m');
    }
    report.took('rollout restart of all six, one after another', startedMs);
    const sent = await sending;
    // The command itself gives up when a service that has one pod is away for longer than it retries.
    assert.ok([0, 3].includes(sent.exitCode ?? -1), sent.stderr);
    const again = await lethe(
      'generate',
      '--send',
      '--events',
      '2000',
      '--tenants',
      '2',
      '--days',
      '30',
    );
    assert.equal(again.exitCode, 0, again.stderr);
    const toured = await lethe('tour', '--events', '2000', '--tenants', '2', '--days', '30');
    assert.equal(toured.exitCode, 0, toured.stdout + toured.stderr);
  });

  it('have no shell to enter', async () => {
    for (const name of serviceNames) {
      const entering = kubectl(
        'exec',
        ...here,
        `deployment/${release}-${name}`,
        '--',
        '/bin/sh',
        '-c',
        'true',
      );
      await assert.rejects(entering, /no such file|not found/i);
    }
  });

  it('are gone after helm uninstall, once they have drained', async () => {
    await tools.uninstall();
    const kinds = 'deployments,services,pods,jobs,networkpolicies,poddisruptionbudgets';
    const left = await kubectl('get', kinds, ...here, '-o', 'name');
    assert.doesNotMatch(left, /^(deployment|service)/m);
    report.line(
      `left after helm uninstall: ${left === '' ? 'nothing' : left.replaceAll('\n', ', ')}`,
    );
  });
});
