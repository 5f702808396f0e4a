/** Run by `run.ts` in the node's network namespace. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { serviceNames } from '@lethe/proto/access.ts';
import { startPathRouter } from '../../deploy/local/path-router.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { runLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeFolder } from '../harness/temporary-folder.ts';
import { type ClusterGiven, readGiven } from './given.ts';
import { createReport } from './report.ts';
import { issueSecrets, secretObjects } from './secrets.ts';
import { type ClusterSystems, startClusterSystems } from './systems.ts';
import { clusterValues } from './values.ts';

const run = promisify(execFile);
const namespace = 'lethe';
const release = 'lethe';
const chart = 'charts/lethe';
const tenant = 'cluster-check';
const outputBytesMax = 64 * 1024 * 1024;

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
    readonly spec: { readonly containers: readonly { readonly image: string }[] };
    readonly status: {
      readonly phase: string;
      readonly containerStatuses?: readonly {
        readonly ready: boolean;
        readonly restartCount: number;
      }[];
    };
  }[];
}

describe('six pods on a real node, with Kafka, PostgreSQL, ClickHouse over HTTP and Vault beside it', function () {
  this.timeout(1_800_000);
  const given = readGiven<ClusterGiven>(process.env['LETHE_CLUSTER']);
  const report = createReport(given.reportFile);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  let systems: ClusterSystems;
  let router: Awaited<ReturnType<typeof startPathRouter>>;

  const command = async (program: string, args: readonly string[]): Promise<string> => {
    try {
      const options = { maxBuffer: outputBytesMax };
      const { stdout } = await run(program, ['--kubeconfig', given.kubeconfig, ...args], options);
      return stdout.trim();
    } catch (error) {
      const { stderr, stdout } = error as { readonly stderr?: string; readonly stdout?: string };
      throw new Error(`${args.slice(0, 2).join(' ')}: ${stdout ?? ''}${stderr ?? ''}`, {
        cause: error,
      });
    }
  };
  const kubectl = async (...args: readonly string[]) => await command(given.kubectl, args);
  const helm = async (...args: readonly string[]) => await command(given.helm, args);
  const here = ['--namespace', namespace];
  const apply = async (name: string, text: string) => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return await kubectl('apply', '-f', file);
  };
  const pods = async () => {
    const selector = ['--selector', `app.kubernetes.io/instance=${release}`];
    const said = await kubectl('get', 'pods', ...here, ...selector, '-o', 'json');
    const { items } = JSON.parse(said) as PodList;
    const isService = (name: string | undefined) => serviceNames.some((each) => each === name);
    return items.filter(({ metadata }) =>
      isService(metadata.labels['app.kubernetes.io/component']),
    );
  };
  const lethe = async (...args: readonly string[]) =>
    await runLethe(keeper, [...args, '--data', folder]);
  /** What helps whoever reads a run that failed. */
  const sayPods = async () => {
    const told = await Promise.allSettled([
      kubectl('get', 'pods', ...here, '-o', 'wide'),
      kubectl('get', 'events', ...here, '--sort-by=.lastTimestamp'),
      ...serviceNames.map((name) =>
        kubectl('logs', ...here, `deployment/${release}-${name}`, '--tail=15'),
      ),
    ]);
    for (const each of told) console.log(each.status === 'fulfilled' ? each.value : each.reason);
  };

  before(async () => {
    systems = await startClusterSystems(given.address, folder, given.vaultBinary);
    report.line(`${[...systems.versions, 'the ClickHouse engine over HTTP'].join(', ')}, on TLS`);
    const { secrets } = issueSecrets(systems, namespace, release, folder);
    await kubectl('create', 'namespace', namespace);
    const level = 'pod-security.kubernetes.io/enforce=restricted';
    await kubectl('label', 'namespace', namespace, level);
    await apply('secrets.json', secretObjects(secrets, namespace));
    const values = clusterValues(systems, given.address, given.digests);
    writeFileSync(path.join(folder, 'values.json'), JSON.stringify(values));
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await sayPods();
  });
  after(async () => {
    await keeper.stopAll();
    await router?.close();
    await systems?.stop();
    report.write();
  });

  it('become ready after one helm install, pinned by digest, under the restricted level', async () => {
    const startedMs = performance.now();
    const options = ['-f', path.join(folder, 'values.json'), '--wait', '--timeout', '20m'];
    await helm('install', release, chart, ...here, ...options);
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
    const addresses = new Map<string, string>();
    for (const name of serviceNames) {
      const jsonPath = ['-o', 'jsonpath={.spec.clusterIP}'];
      const ip = await kubectl('get', 'service', ...here, `${release}-${name}`, ...jsonPath);
      addresses.set(name, `${ip}:7480`);
    }
    router = await startPathRouter({
      routes: serviceNames
        .filter((name) => name !== 'keys')
        .map((name) => ({
          prefix: `/lethe.${name}.v1.`,
          address: () => addresses.get(name) ?? '',
        })),
      authorityPem: readFileSync(path.join(folder, 'authority.pem'), 'utf8'),
      isServing: async () => (await pods()).length === serviceNames.length,
    });
    const info = { address: router.address, healthAddress: router.address, pid: process.pid };
    writeFileSync(path.join(folder, 'server.json'), JSON.stringify(info));
    const registered = await lethe('tenant', 'register', tenant);
    assert.equal(registered.exitCode, 0, registered.stderr);
  });

  it('pass helm test: a ticket appended, read, its person erased, the certificate verified', async () => {
    const roles = ['writer', 'reader', 'privacy-officer'];
    const issuer = mintOf(folder);
    // Nobody has registered this one.
    const token = issuer.mint({ tenant: 'helm-test', roles, ttlS: 3_600 });
    const entries = {
      token,
      'admin-token': issuer.mint({ roles: ['platform-admin'], ttlS: 3_600 }),
      'certificate-key.pem': readFileSync(path.join(folder, 'certificate-key.pem'), 'utf8'),
      'ca.crt': readFileSync(path.join(folder, 'authority.pem'), 'utf8'),
    };
    await apply('test-secret.json', secretObjects({ 'lethe-test': entries }, namespace));
    const startedMs = performance.now();
    const said = await helm('test', release, ...here, '--logs', '--timeout', '10m');
    report.took('helm test', startedMs);
    report.block(said.replaceAll(token, '…'));
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
    await helm('uninstall', release, ...here, '--wait', '--timeout', '10m');
    const gone = ['--for=delete', '--selector', 'app.kubernetes.io/component in (tickets,keys)'];
    await kubectl('wait', 'pods', ...here, ...gone, '--timeout=5m');
    const kinds = 'deployments,services,pods,jobs,networkpolicies,poddisruptionbudgets';
    const left = await kubectl('get', kinds, ...here, '-o', 'name');
    assert.doesNotMatch(left, /^(deployment|service)/m);
    report.line(
      `left after helm uninstall: ${left === '' ? 'nothing' : left.replaceAll('\n', ', ')}`,
    );
  });
});
