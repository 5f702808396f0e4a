import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { kubernetesClients } from '../../deploy/local/helm.ts';
import { findKubernetes } from '../../deploy/local/kubernetes-binaries.ts';
import { type LocalKubernetes, startLocalKubernetes } from '../../deploy/local/kubernetes.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { requiredValues, withValues } from '../chart/example-values.ts';
import { chartFolder, render, runHelm, type Values } from '../chart/helm.ts';
import { containersOf, type KubeObject, podsOf } from '../chart/kube-objects.ts';
import { olderChart } from '../chart/older-chart.ts';
import { variants } from '../chart/variants.ts';
import { blocksIn } from '../cluster/page.ts';
import { repository } from '../temporary-tree.ts';

const namespace = 'support';
const restricted = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: namespace,
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
  },
};

/** Kinds that a cluster has only with somebody else's definitions. */
const foreign = new Set(['ServiceMonitor', 'PrometheusRule', 'ScaledObject']);

function chartTests(binaries: NonNullable<ReturnType<typeof findKubernetes>>): void {
  let cluster: LocalKubernetes;
  let folder: string;

  before(async function () {
    this.timeout(600_000);
    const startedMs = performance.now();
    const { kubectl } = kubernetesClients(places);
    cluster = await startLocalKubernetes({ binaries, kubectl });
    folder = mkdtempSync(path.join(tmpdir(), 'lethe-chart-cluster-'));
    cluster.kubectl(['apply', '-f', '-'], JSON.stringify(restricted));
    cluster.kubectl(['create', 'priorityclass', 'high', '--value', '1000']);
    console.log(`    Kubernetes ${cluster.version}, started in ${secondsSince(startedMs)} s`);
  });

  after(async function () {
    this.timeout(60_000);
    await cluster?.destroy();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const helm = async (command: string, ...args: readonly string[]) =>
    await runHelm([command, ...args, '--namespace', namespace, '--kubeconfig', cluster.kubeconfig]);
  const valuesFile = (name: string, values: Values) => {
    const file = path.join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(values));
    return file;
  };
  const read = (...args: readonly string[]) =>
    JSON.parse(cluster.kubectl(['-n', namespace, ...args, '-o', 'json'])) as {
      readonly items: readonly KubeObject[];
    };

  const leftOver = () => {
    const kinds = 'deployments,services,serviceaccounts,poddisruptionbudgets,networkpolicies,jobs';
    const { items } = read('get', kinds, '-l', 'app.kubernetes.io/instance=lethe');
    return items.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  };

  it('refuses a pod that is not restricted, so that the others prove something', () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'careless', namespace },
      spec: { containers: [{ name: 'careless', image: 'lethe/tickets' }] },
    };
    assert.throws(
      () => cluster.kubectl(['create', '-f', '-'], JSON.stringify(pod)),
      /violates PodSecurity "restricted/,
    );
  });

  it('admits every pod at default values, marked and placed, and of plain jobs, on probation', async () => {
    let pods = 0;
    for (const values of [
      requiredValues,
      variants['pods marked and placed'],
      variants['plain jobs'],
    ]) {
      for (const pod of podsOf((await render(values ?? {})).objects())) {
        const bare = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: `probe-${pods}`, namespace },
          spec: {
            ...pod.spec,
            restartPolicy: 'Never',
            serviceAccountName: 'default',
            priorityClassName: undefined,
          },
        };
        cluster.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(bare));
        pods += containersOf(pod).length;
      }
    }
    console.log(`    ${pods} containers admitted at the restricted level, 0 refused`);
  }).timeout(300_000);

  it('is taken by the server with all fields known, whatever values say', async () => {
    for (const [name, values] of Object.entries(variants)) {
      const objects = (await render(values)).objects().filter(({ kind }) => !foreign.has(kind));
      const list = { apiVersion: 'v1', kind: 'List', items: objects };
      try {
        cluster.kubectl(
          ['create', '--dry-run=server', '--validate=strict', '-f', '-'],
          JSON.stringify(list),
        );
      } catch (cause) {
        throw new Error(name, { cause });
      }
    }
  }).timeout(900_000);

  it('is installed at its older version, upgraded, rolled back and tested, with every pod ready', async () => {
    const values = valuesFile('required', requiredValues);
    const took: string[] = [];
    const step = async (name: string, ...args: readonly string[]) => {
      const startedMs = performance.now();
      await helm(name, 'lethe', ...args);
      took.push(`${name} ${secondsSince(startedMs)} s`);
      assertAllReady(read('get', 'deployments').items);
    };
    await step('install', olderChart, '--values', values, '--wait', '--timeout', '5m');
    const before = uidsOf(read('get', 'deployments,services').items);
    await step('upgrade', chartFolder, '--values', values, '--wait', '--timeout', '5m');
    assert.deepEqual(
      uidsOf(read('get', 'deployments,services').items),
      before,
      'something was made anew',
    );
    const more = valuesFile(
      'more',
      withValues({ services: { tickets: { replicas: 6 }, analytics: { memoryMiB: 2_048 } } }),
    );
    await step('upgrade', chartFolder, '--values', more, '--wait', '--timeout', '5m');
    await step('rollback', '1', '--wait', '--timeout', '5m');
    assert.deepEqual(uidsOf(read('get', 'deployments,services').items), before);
    await helm('test', 'lethe', '--timeout', '5m');
    assertImagesPinned(read('get', 'pods').items);
    await helm('uninstall', 'lethe', '--wait', '--timeout', '5m');
    assert.deepEqual(leftOver(), []);
    console.log(`    ${took.join(', ')}; test passed; uninstalled`);
  }).timeout(900_000);

  it('hands the number of pods to an autoscaler and takes it back, as docs/operators/scaling.md says', async () => {
    const analytics = (name: string, own: Values) => [
      '--values',
      valuesFile(name, withValues({ services: { analytics: own } })),
    ];
    const upgrade = async (...args: readonly string[]) =>
      await helm('upgrade', 'lethe', chartFolder, ...args, '--timeout', '5m');
    const pods = () => {
      const deployment = read('get', 'deployments', 'lethe-analytics') as unknown as KubeObject;
      return deployment.spec?.['replicas'];
    };
    const fixed = analytics('fixed', { replicas: 3 });
    const scaled = analytics('scaled', { scaling: { mode: 'cpu' } });
    await helm('install', 'lethe', chartFolder, ...fixed, '--wait', '--timeout', '5m');
    runHandOver(cluster.kubeconfig);
    await upgrade(...scaled, '--server-side=true');
    assert.equal(pods(), 3);
    // As an autoscaler does it.
    cluster.kubectl(['-n', namespace, 'scale', 'deployment/lethe-analytics', '--replicas=4']);
    await upgrade(...scaled, '--set', 'pods.restartedAt=now');
    assert.equal(pods(), 4);
    await assert.rejects(upgrade(...fixed), /conflict occurred/);
    await upgrade(...fixed, '--force-conflicts');
    assert.equal(pods(), 3);
    await upgrade(...scaled, '--server-side=true');
    assert.notEqual(pods(), 3, 'without it, so that the command proves something');
    await helm('uninstall', 'lethe', '--wait', '--timeout', '5m');
  }).timeout(900_000);

  it('is upgraded with plain jobs, which are other jobs each time they differ', async () => {
    const plain = variants['plain jobs'] ?? {};
    await helm(
      'install',
      'lethe',
      chartFolder,
      '--values',
      valuesFile('plain', plain),
      '--wait',
      '--wait-for-jobs',
      '--timeout',
      '5m',
    );
    const changed = valuesFile('changed', { ...plain, pods: { restartedAt: 'now' } });
    await helm(
      'upgrade',
      'lethe',
      chartFolder,
      '--values',
      changed,
      '--wait',
      '--wait-for-jobs',
      '--timeout',
      '5m',
    );
    assert.equal(
      read('get', 'jobs').items.filter(({ metadata }) => /-[0-9a-f]{8}$/.test(metadata.name))
        .length,
      7,
    );
    await helm('uninstall', 'lethe', '--wait', '--timeout', '5m');
  }).timeout(900_000);
}

const places = toolPlaces(process.env);
const found = findKubernetes(places);
// Not a skipped test, which CI refuses: a machine that never built it needs a quarter of an hour for it.
if (found === undefined) {
  console.warn(
    '!!! SKIPPED, NOT CHECKED: no Kubernetes, so the chart met no API server. Build it once with `npm run build:kubernetes`, or name a folder with kube-local and kwok in LETHE_TOOLS',
  );
} else {
  describe('the chart on a Kubernetes API server with simulated nodes', () => chartTests(found));
}

/** The command of the page, as a reader copies it. */
function runHandOver(kubeconfig: string): void {
  const page = readFileSync(path.join(repository, 'docs/operators/scaling.md'), 'utf8');
  const [command = ''] = blocksIn(page).filter((each) => each.includes('--field-manager'));
  const clients = path.dirname(kubernetesClients(places).kubectl);
  const env = { ...process.env, KUBECONFIG: kubeconfig, PATH: `${clients}:${process.env['PATH']}` };
  const inOurs = command.replaceAll('--namespace lethe', `--namespace ${namespace}`);
  execFileSync('sh', ['-euc', inOurs], { env, stdio: 'pipe' });
}

function assertAllReady(deployments: readonly KubeObject[]): void {
  assert.equal(deployments.length, 6);
  for (const { metadata, spec, ...rest } of deployments) {
    const { status } = rest as { readonly status?: { readonly readyReplicas?: number } };
    assert.equal(status?.readyReplicas, spec?.['replicas'], metadata.name);
  }
}

function assertImagesPinned(pods: readonly KubeObject[]): void {
  for (const pod of podsOf(pods)) {
    for (const { image } of containersOf(pod)) assert.match(image, /@sha256:/);
  }
}

function uidsOf(objects: readonly KubeObject[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    objects.map(({ kind, metadata }) => [
      `${kind} ${metadata.name}`,
      (metadata as unknown as { readonly uid: string }).uid,
    ]),
  );
}

function secondsSince(startedMs: number): string {
  return ((performance.now() - startedMs) / 1_000).toFixed(1);
}
