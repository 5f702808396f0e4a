import { serviceNames } from '@lethe/proto/access.ts';
import { withValues } from './example-values.ts';
import type { Values } from './helm.ts';

const scaled = ['tickets', 'predictions', 'usage', 'analytics'] as const;
const peer = [{ ipBlock: { cidr: '10.7.0.0/16', except: ['10.7.9.0/24'] } }];
const selected = [{ namespaceSelector: { matchLabels: { team: 'edge' } } }];
const prometheus = { prometheusAddress: 'http://prometheus.monitoring:9090' };

const longestName = `l${'o'.repeat(38)}g`;

const forServices = (names: readonly string[], own: Values): Values => ({
  services: Object.fromEntries(names.map((name) => [name, own])),
});

const repaired = serviceNames.filter((name) => name !== 'keys');

/** Of every service that has something to repair, whose pods must be gone. */
const repairs = (wish: string): Values => ({
  ...forServices(repaired, { replicas: 0 }),
  jobs: { repair: Object.fromEntries(repaired.map((name) => [name, wish])) },
});

/** Ways to use the chart, by name: each is rendered and held against every rule of render-matrix.test.ts. */
export const variants: Readonly<Record<string, Values>> = {
  'default values': withValues(),
  'another name': withValues({ nameOverride: 'forgetful', fullnameOverride: 'support-forgets' }),
  'the longest name': withValues({ fullnameOverride: longestName }),
  'the longest name, plain jobs': withValues({
    fullnameOverride: longestName,
    jobs: { migrations: 'job', topics: 'job' },
  }),
  'a registry': withValues({
    image: { registry: 'registry.example.net:5000', repository: 'platform/lethe' },
  }),
  'a login to the registry': withValues({ image: { pullSecrets: ['registry-login', 'other'] } }),
  'images always pulled': withValues({ image: { pullPolicy: 'Always' } }),
  'tags, for trying': withValues({
    image: { allowUnpinned: true, tag: '0.1.0-rc.1', digests: { tickets: '', client: '' } },
  }),
  'one pod of each': withValues(forServices(scaled, { replicas: 1 })),
  'no pod of each': withValues(forServices(serviceNames, { replicas: 0 })),
  'a pod per partition': withValues(forServices(scaled, { replicas: 6 })),
  'scaling by cpu': withValues(forServices(scaled, { scaling: { mode: 'cpu' } })),
  'scaling by cpu, narrow': withValues(
    forServices(scaled, {
      scaling: { mode: 'cpu', minReplicas: 1, maxReplicas: 3, cpuPercent: 50 },
    }),
  ),
  'scaling by lag': withValues(forServices(scaled, { scaling: { mode: 'lag' } }), {
    monitoring: prometheus,
  }),
  'scaling by lag, narrow': withValues(
    forServices(['analytics'], {
      scaling: { mode: 'lag', minReplicas: 3, maxReplicas: 4, lagSeconds: 5 },
    }),
    { monitoring: prometheus },
  ),
  'scaling of both kinds': withValues(
    forServices(['tickets', 'usage'], { scaling: { mode: 'cpu' } }),
    forServices(['analytics', 'predictions'], { scaling: { mode: 'lag' } }),
    { monitoring: prometheus },
  ),
  'little memory': withValues(forServices(serviceNames, { memoryMiB: 256 })),
  'much memory': withValues(
    forServices(serviceNames, { memoryMiB: 8_192, cpu: { request: '2', limit: '4' } }),
  ),
  'settings of services': withValues({
    services: {
      tickets: { settings: { LETHE_TICKETS_PENDING_ROWS_MAX: 200_000, LETHE_CALLS_MAX: 5_000 } },
      keys: { settings: { LETHE_KEYS_LEASE_TTL_MS: 20_000 } },
      privacy: { settings: { LETHE_PRIVACY_BACKUP_HORIZON_DAYS: 14 } },
    },
  }),
  'roles of a cloud': withValues({
    services: {
      keys: {
        serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/k' },
      },
    },
  }),
  'a pooler': withValues({
    postgresql: { lockHost: 'primary.example.net', lockPort: 5_433, port: 6_432 },
  }),
  'prefixed users': withValues({
    postgresql: { userPrefix: 'lethe_' },
    kafka: { userPrefix: 'lethe-' },
  }),
  'public authorities': withValues({
    postgresql: { authorityKey: '' },
    kafka: { authorityKey: '' },
    clickhouse: { authorityKey: '' },
    kms: { vault: { authorityKey: '' } },
    test: { authorityKey: '' },
  }),
  'client certificates for Kafka': withValues({
    kafka: { sasl: 'none', clientCertificates: true },
  }),
  'Kafka without a login': withValues({ kafka: { sasl: 'none', authorityKey: '' } }),
  'Kafka with PLAIN': withValues({ kafka: { sasl: 'plain' } }),
  'a replicated ledger': withValues({ clickhouse: { cluster: 'lethe', tables: 'check' } }),
  'ClickHouse on the usual port': withValues({
    clickhouse: { url: 'https://clickhouse.example.net' },
  }),
  'Vault by Kubernetes login': withValues({
    kms: { vault: { auth: 'kubernetes', role: 'lethe-keys' } },
  }),
  'Vault by token': withValues({
    kms: { vault: { auth: 'token-file', namespace: 'team', authMount: 'x' } },
  }),
  'AWS KMS by role': withValues({
    kms: { type: 'aws', aws: { region: 'eu-central-1', peers: peer } },
  }),
  'AWS KMS by Pod Identity': withValues({
    kms: {
      type: 'aws',
      aws: {
        region: 'eu-central-1',
        peers: peer,
        credentialPeers: [{ ipBlock: { cidr: '169.254.170.23/32' } }],
      },
    },
  }),
  'AWS KMS by access key': withValues({
    kms: {
      type: 'aws',
      aws: {
        region: 'eu-west-1',
        endpoint: 'https://vpce.example.net',
        existingSecret: 'aws',
        peers: peer,
      },
    },
  }),
  'tokens by address': withValues({
    tokens: { source: 'url', url: 'https://login.example.net:8443/jwks', peers: selected },
  }),
  'tokens by one key': withValues({ tokens: { source: 'publicKey', algorithms: ['ES256'] } }),
  'other Secrets': withValues({
    postgresql: { existingSecret: 'pg' },
    kafka: { existingSecret: 'k' },
    clickhouse: { existingSecret: 'ch' },
    kms: { vault: { existingSecret: 'v' } },
    tokens: { existingSecret: 't' },
    publicTls: { existingSecret: 'p' },
    certificateSigning: { existingSecret: 's', secretKey: 'private.jwk' },
    internalTls: { existingSecrets: { tickets: 'i1', keys: 'i2' } },
    test: { existingSecret: 'x' },
  }),
  'an ingress': withValues({
    ingress: {
      enabled: true,
      host: 'lethe.example.net',
      className: 'nginx',
      tlsSecret: 'lethe-edge',
      annotations: { 'nginx.ingress.kubernetes.io/backend-protocol': 'GRPCS' },
    },
    networkPolicy: { clientPeers: selected },
  }),
  'clients and monitoring named': withValues({
    networkPolicy: { clientPeers: [...selected, ...peer], monitoringPeers: selected },
  }),
  'no network policies': withValues({
    networkPolicy: { enabled: false },
    postgresql: { peers: [] },
    kafka: { peers: [] },
    clickhouse: { peers: [] },
    kms: { vault: { peers: [] } },
  }),
  'another DNS': withValues({
    networkPolicy: { dnsPeers: [{ ipBlock: { cidr: '169.254.20.10/32' } }] },
  }),
  'a long drain': withValues({ drain: { delayMs: 60_001, graceMs: 120_000 } }),
  'no drain': withValues({ drain: { delayMs: 0, graceMs: 0 } }),
  'spread as a must': withValues({ spread: { zone: 'DoNotSchedule', node: 'DoNotSchedule' } }),
  'pods marked and placed': withValues({
    pods: {
      userId: 10_001,
      labels: { team: 'support' },
      annotations: { note: 'yes' },
      restartedAt: '2026-11-22T12:00:00Z',
      nodeSelector: { pool: 'lethe' },
      tolerations: [{ key: 'pool', operator: 'Equal', value: 'lethe', effect: 'NoSchedule' }],
      priorityClassName: 'high',
      failoverSeconds: 5,
    },
  }),
  'plain jobs': withValues({ jobs: { migrations: 'job', topics: 'job' } }),
  'repairs that look': withValues(repairs('check')),
  'repairs that mend, the longest name': withValues(repairs('mend'), {
    fullnameOverride: longestName,
  }),
  'no jobs': withValues({ jobs: { migrations: 'off', topics: 'off' } }),
  'no test': withValues({ test: { enabled: false }, image: { digests: { client: '' } } }),
  telemetry: withValues({
    telemetry: {
      endpoint: 'http://collector.monitoring:4318',
      peers: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
    },
  }),
  'all of monitoring': withValues({
    monitoring: {
      serviceMonitor: {
        enabled: true,
        selector: { app: 'collector' },
        namespace: 'monitoring',
        labels: { release: 'p' },
      },
      prometheusRule: {
        enabled: true,
        labels: { release: 'p' },
        runbooksUrl: 'https://git.example.net/lethe/runbooks',
      },
      dashboards: { enabled: true },
    },
  }),
  'a part of a larger chart': withValues({ global: { region: 'eu' }, enabled: true }),
};
