import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { helpOf, type Setting, settingsIn } from '../../deploy/configuration-page.ts';
import { repository } from '../temporary-tree.ts';
import { withValues } from './example-values.ts';
import { render, type Values } from './helm.ts';
import { componentOf, type Pods, type PodSpec, podsOf } from './kube-objects.ts';
import { environmentOf } from './mounted-files.ts';

/** Variables that Node itself reads. */
const ofNode = new Set(['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS']);

/** Required for one choice of another setting alone; the choice is made below. */
const ofAws = /^LETHE_KEYS_AWS_/;
const ofVault = /^LETHE_KEYS_VAULT_/;

describe('variables that the chart sets', () => {
  let settings: ReadonlyMap<ServiceName, readonly Setting[]>;

  before(function () {
    this.timeout(600_000);
    settings = new Map(serviceNames.map((name) => [name, settingsIn(helpOf(name))]));
  });

  const ways: readonly (readonly [string, Values])[] = [
    ['at default values', withValues()],
    [
      'with every choice made the other way',
      withValues({
        postgresql: { lockHost: 'primary.example.net' },
        kafka: { clientCertificates: true },
        clickhouse: { cluster: 'lethe', tables: 'check' },
        kms: {
          type: 'aws',
          aws: {
            region: 'eu-central-1',
            endpoint: 'https://kms.example.net',
            existingSecret: 'aws',
            peers: [{ ipBlock: { cidr: '10.9.0.0/16' } }],
          },
        },
        tokens: {
          source: 'url',
          url: 'https://login.example.net/jwks',
          peers: [{ ipBlock: { cidr: '10.8.0.0/16' } }],
        },
        telemetry: {
          endpoint: 'http://collector:4318',
          existingSecret: 'collector',
          authorityKey: 'ca.crt',
          headersKey: 'headers',
          peers: [{ podSelector: { matchLabels: { app: 'collector' } } }],
        },
      }),
    ],
    [
      'with a Kubernetes login and one public key',
      withValues({
        kms: {
          vault: { auth: 'kubernetes', role: 'lethe-keys', namespace: 'team', authMount: 'k8s' },
        },
        tokens: { source: 'publicKey', algorithms: ['EdDSA'] },
      }),
    ],
  ];

  for (const [how, values] of ways) {
    it(`exist, and are all that are required, ${how}`, async () => {
      const rendered = (await render(values)).objects();
      const pods = podsOf(rendered).filter(({ object }) => object.kind === 'Deployment');
      assert.deepEqual(
        pods.map(({ labels }) => componentOf(labels)).toSorted(),
        [...serviceNames].toSorted(),
      );
      for (const pod of pods) {
        const name = componentOf(pod.labels) as ServiceName;
        assertSettings(pod, settings.get(name) ?? [], name);
      }
    }).timeout(60_000);
  }

  for (const [how, values] of ways) {
    it(`are what each service's own --check-config takes, ${how}`, async () => {
      for (const { object, labels, spec } of podsOf((await render(values)).objects())) {
        if (object.kind === 'Deployment') assertTaken(componentOf(labels) as ServiceName, spec);
      }
    }).timeout(600_000);
  }

  it('can be any other setting of that service, by its name', async () => {
    const values = withValues({
      services: { tickets: { settings: { LETHE_TICKETS_PENDING_ROWS_MAX: 1_000_000 } } },
    });
    const pod = podsOf((await render(values)).objects()).find(
      ({ object }) => object.metadata.name === 'lethe-tickets',
    );
    const found = pod?.spec.containers[0]?.env?.find(
      ({ name }) => name === 'LETHE_TICKETS_PENDING_ROWS_MAX',
    );
    assert.equal(found?.value, '1000000');
  }).timeout(60_000);

  it('name files that are mounted', async () => {
    for (const [, values] of ways) {
      for (const pod of podsOf((await render(values)).objects())) assertFilesMounted(pod);
    }
  }).timeout(120_000);
});

function assertSettings(pod: Pods, settings: readonly Setting[], name: string): void {
  const set = pod.spec.containers.flatMap(({ env }) => env ?? []).map((each) => each.name);
  const known = new Set(settings.map((each) => each.name));
  const unknown = set.filter((each) => !known.has(each) && !ofNode.has(each));
  assert.deepEqual(unknown, [], `${name} knows no such settings`);
  assert.deepEqual(set.length, new Set(set).size, `${name}: a variable is set twice`);
  const usesAws = set.includes('LETHE_KEYS_AWS_REGION');
  const required = settings
    .filter(({ state }) => state === 'required')
    .map((each) => each.name)
    .filter((each) => !(usesAws ? ofVault : ofAws).test(each));
  const missing = required.filter((each) => !set.includes(each));
  assert.deepEqual(missing, [], `${name} needs these settings`);
}

function assertTaken(service: ServiceName, { containers: [container] }: PodSpec): void {
  assert.ok(container !== undefined);
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-mounted-'));
  try {
    const env = environmentOf(container, service, folder);
    const main = path.join(repository, 'services', service, 'src/main.ts');
    const ended = spawnSync(process.execPath, [main, '--check-config'], { encoding: 'utf8', env });
    assert.equal(ended.stderr, '');
    assert.match(ended.stdout, /^ok: /);
    assert.equal(ended.status, 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function assertFilesMounted({ object, spec }: Pods): void {
  const paths = (spec.volumes ?? []).flatMap(({ name, secret, projected }) =>
    projected === undefined
      ? (secret?.items ?? []).map(({ path }) => `/etc/lethe/${name}/${path}`)
      : [`/etc/lethe/${name}/token`],
  );
  const mounted = new Set(paths);
  for (const { env } of spec.containers) {
    const named = (env ?? [])
      .map(({ value }) => value ?? '')
      .filter((each) => each.startsWith('/etc/lethe/'));
    for (const each of named) assert.ok(mounted.has(each), `${object.metadata.name}: ${each}`);
    const used = new Set(named);
    if (object.kind === 'Pod') continue;
    for (const each of mounted)
      assert.ok(used.has(each), `${object.metadata.name}: ${each} is of no use`);
  }
}
