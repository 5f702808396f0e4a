import assert from 'node:assert/strict';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { withValues } from './example-values.ts';
import { namespace, render } from './helm.ts';
import { type KubeObject, ofKind } from './kube-objects.ts';
import { connections, partiesOf, type Party, type Port } from './network.ts';

/** Who calls whom (services, what each owns and reads). */
const calls: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  tickets: ['keys', 'privacy', 'analytics'],
  predictions: ['keys', 'privacy', 'analytics', 'tickets'],
  usage: ['keys', 'privacy', 'analytics'],
  analytics: ['keys', 'privacy', 'tickets', 'predictions', 'usage'],
  privacy: ['keys', 'tickets', 'predictions', 'usage', 'analytics'],
  keys: ['privacy'],
};

const values = withValues({
  networkPolicy: {
    clientPeers: [
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'edge' } } },
    ],
    monitoringPeers: [{ podSelector: { matchLabels: { app: 'prober' } } }],
  },
  tokens: {
    source: 'url',
    url: 'https://login.example.net/jwks',
    peers: [{ ipBlock: { cidr: '10.4.0.0/16', except: ['10.4.9.0/24'] } }],
  },
  telemetry: {
    endpoint: 'http://collector.watch:4318',
    peers: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'watch' } } }],
  },
});

const other = (name: string, place: string, labels: Readonly<Record<string, string>>): Party => ({
  name,
  namespace: place,
  namespaceLabels: { 'kubernetes.io/metadata.name': place },
  labels,
  ports: new Map(),
});

/** Everybody else who might be there. */
const others: readonly Party[] = [
  other('dns', 'kube-system', { 'k8s-app': 'kube-dns' }),
  other('not dns', 'kube-system', { 'k8s-app': 'metrics' }),
  other('vault', 'vault', { app: 'vault' }),
  other('not vault', 'vault', { app: 'shell' }),
  other('edge', 'edge', { app: 'ingress' }),
  other('prober', namespace, { app: 'prober' }),
  other('collector', 'watch', { app: 'collector' }),
  other('neighbour', namespace, { app: 'neighbour' }),
  // Of the release by its labels, and known to no policy but the one that closes everything.
  other('stray', namespace, {
    'app.kubernetes.io/name': 'lethe',
    'app.kubernetes.io/instance': 'lethe',
  }),
  other('another release', namespace, {
    'app.kubernetes.io/name': 'lethe',
    'app.kubernetes.io/instance': 'other',
    'app.kubernetes.io/component': 'tickets',
  }),
  { name: 'postgres', address: '10.1.0.9' },
  { name: 'kafka', address: '10.2.0.9' },
  { name: 'clickhouse', address: '10.3.0.9' },
  { name: 'aws', address: '10.7.0.9' },
  { name: 'pod identity', address: '169.254.170.23' },
  { name: 'instance', address: '169.254.169.254' },
  { name: 'login', address: '10.4.0.9' },
  { name: 'not login', address: '10.4.9.9' },
  { name: 'internet', address: '8.8.8.8' },
];

const ports: readonly Port[] = [
  { protocol: 'UDP', number: 53 },
  ...[22, 53, 80, 443, 4_318, 5_432, 7_480, 7_481, 7_482, 8_200, 8_443, 9_093].map(
    (number) => ({ protocol: 'TCP', number }) as const,
  ),
];

const publicServices = serviceNames.filter((name) => name !== 'keys');
const migrations = serviceNames.map((name) => `migrate-${name}`);

/** All that there may be between a pod of the release and anybody; nothing else. */
const declared = [
  ...[...serviceNames, ...migrations, 'topics', 'test'].flatMap((name) => [
    `${name} -> dns UDP/53`,
    `${name} -> dns TCP/53`,
  ]),
  ...[...serviceNames, ...migrations].map((name) => `${name} -> postgres TCP/5432`),
  ...[...serviceNames, 'topics'].map((name) => `${name} -> kafka TCP/9093`),
  'analytics -> clickhouse TCP/8443',
  'keys -> vault TCP/8200',
  ...publicServices.map((name) => `${name} -> login TCP/443`),
  ...serviceNames.map((name) => `${name} -> collector TCP/4318`),
  ...serviceNames.flatMap((name) => calls[name].map((callee) => `${name} -> ${callee} TCP/7482`)),
  ...publicServices.map((name) => `edge -> ${name} TCP/7480`),
  ...serviceNames.map((name) => `prober -> ${name} TCP/7481`),
  'test -> tickets TCP/7480',
  'test -> privacy TCP/7480',
].toSorted();

describe('who may reach whom, by the policies', () => {
  let objects: readonly KubeObject[];
  let itsPods: readonly Party[];

  before(async function () {
    this.timeout(120_000);
    objects = (await render(values)).objects();
    itsPods = partiesOf(objects, namespace);
  });

  /** Between others nothing is ours to say. */
  function matrix(of: readonly KubeObject[], pods = itsPods): readonly string[] {
    const ours = new Set([...pods.map(({ name }) => name), 'stray']);
    return connections(of, [...pods, ...others], ports, namespace).filter((each) => {
      const [, from = '', to = ''] = /^(.*) -> (.*) \w+\/\d+$/.exec(each) ?? [];
      return ours.has(from) || ours.has(to);
    });
  }

  it('is what is declared, exactly', () => {
    assert.deepEqual(matrix(objects), declared);
  }).timeout(60_000);

  it('is the same with AWS KMS, but for who asks KMS and who asks the node for a role', async () => {
    const byAws = declared.filter((each) => each !== 'keys -> vault TCP/8200');
    const ofKms = [...byAws, 'keys -> aws TCP/443'].toSorted();
    const asked = async (aws: Readonly<Record<string, unknown>>) =>
      matrix((await render(withValues(values, { kms: { type: 'aws', aws } }))).objects());
    const aws = { region: 'eu-central-1', peers: [{ ipBlock: { cidr: '10.7.0.0/16' } }] };
    assert.deepEqual(await asked(aws), ofKms);
    const credentialPeers = [{ ipBlock: { cidr: '169.254.170.23/32' } }];
    assert.deepEqual(
      await asked({ ...aws, credentialPeers }),
      [...ofKms, 'keys -> pod identity TCP/80'].toSorted(),
    );
  }).timeout(60_000);

  it('is what a repair needs besides, where one is wished, and nobody reaches it', async () => {
    const repaired = serviceNames.filter((name) => name !== 'keys');
    const wished = {
      services: Object.fromEntries(repaired.map((name) => [name, { replicas: 0 }])),
      jobs: { repair: Object.fromEntries(repaired.map((name) => [name, 'check'])) },
    };
    const rendered = (await render(withValues(values, wished))).objects();
    const besides = repaired.flatMap((name) =>
      ['dns UDP/53', 'dns TCP/53', 'postgres TCP/5432', 'kafka TCP/9093'].map(
        (what) => `repair-${name} -> ${what}`,
      ),
    );
    const openers = ['tickets', 'predictions', 'usage'].map(
      (name) => `repair-${name} -> keys TCP/7482`,
    );
    assert.deepEqual(
      matrix(rendered, partiesOf(rendered, namespace)),
      [...declared, ...besides, ...openers, 'repair-analytics -> clickhouse TCP/8443'].toSorted(),
    );
  }).timeout(60_000);

  it('is everything without policies, so that the matrix can tell', () => {
    const open = matrix(objects.filter(({ kind }) => kind !== 'NetworkPolicy'));
    assert.ok(open.includes('internet -> keys TCP/22'));
    assert.ok(open.includes('stray -> internet TCP/443'));
  }).timeout(60_000);

  it('is not what is declared when any policy is missing', () => {
    const policies = ofKind(objects, 'NetworkPolicy');
    assert.equal(policies.length, 1 + serviceNames.length + migrations.length + 2);
    for (const missing of policies) {
      const rest = objects.filter((each) => each !== missing);
      assert.notDeepEqual(matrix(rest), declared, missing.metadata.name);
    }
  }).timeout(300_000);

  it('is not what is declared when any rule of a policy is missing', () => {
    for (const policy of ofKind(objects, 'NetworkPolicy')) {
      for (const direction of ['ingress', 'egress'] as const) {
        const rules = (policy.spec?.[direction] ?? []) as readonly unknown[];
        for (const rule of rules) {
          const spec = { ...policy.spec, [direction]: rules.filter((each) => each !== rule) };
          const changed = objects.map((each) => (each === policy ? { ...policy, spec } : each));
          assert.notDeepEqual(matrix(changed), declared, `${policy.metadata.name} ${direction}`);
        }
      }
    }
  }).timeout(600_000);
});
