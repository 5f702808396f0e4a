import assert from 'node:assert/strict';
import { consumerMetrics } from '@lethe/platform/consumer/metrics.ts';
import { relayMetrics } from '@lethe/platform/outbox/metrics.ts';
import { prometheusName } from '@lethe/platform/telemetry/metric-table.ts';
import { requiredValues, withValues } from './example-values.ts';
import { HelmRefusal, render, type Rendered, renderMany, type Values } from './helm.ts';
import { type KubeObject, type Labels, ofKind } from './kube-objects.ts';
import { renderRules } from './render-rules.ts';
import { variants } from './variants.ts';

describe('what the chart renders', () => {
  const names = Object.keys(variants);
  let rendered: ReadonlyMap<string, Rendered>;

  before(async function () {
    this.timeout(300_000);
    const all = await renderMany(names.map((name) => variants[name] ?? {}));
    rendered = new Map(names.map((name, index) => [name, all[index]] as const).filter(isRendered));
  });

  it('are hundreds of cases', () => {
    assert.ok(names.length * Object.keys(renderRules).length >= 400);
    assert.equal(rendered.size, names.length);
  });

  for (const name of names) {
    describe(`with ${name}`, () => {
      for (const [rule, hold] of Object.entries(renderRules)) {
        it(rule, () => hold(rendered.get(name)?.objects() ?? [], variants[name] ?? {})).timeout(
          20_000,
        );
      }
    });
  }

  it('is the same, byte for byte, the second time', async () => {
    for (const values of [requiredValues, variants['all of monitoring'] ?? {}]) {
      const [first, second] = await Promise.all([render(values), render(values)]);
      assert.equal(first.text, second.text);
    }
  }).timeout(60_000);

  it('is the same within a larger chart', async () => {
    const alone = await render(requiredValues);
    assert.deepEqual(rendered.get('default values')?.objects(), alone.objects());
  }).timeout(60_000);

  it('routes every API of clients to the service that has it', () => {
    const [ingress] = ofKind(rendered.get('an ingress')?.objects() ?? [], 'Ingress');
    const { rules } = (ingress?.spec ?? { rules: [] }) as {
      readonly rules: readonly { readonly http: { readonly paths: readonly IngressPath[] } }[];
    };
    const routes = rules.flatMap(({ http }) =>
      http.paths.map(({ path, backend }) => [path, backend.service.name]),
    );
    assert.deepEqual(Object.fromEntries(routes), {
      '/lethe.tickets.v1.TicketService': 'lethe-tickets',
      '/lethe.rebuild.v1.TicketsRebuildService': 'lethe-tickets',
      '/lethe.predictions.v1.PredictionService': 'lethe-predictions',
      '/lethe.parking.v1.PredictionsParkingService': 'lethe-predictions',
      '/lethe.rebuild.v1.PredictionsRebuildService': 'lethe-predictions',
      '/lethe.usage.v1.UsageService': 'lethe-usage',
      '/lethe.rebuild.v1.UsageRebuildService': 'lethe-usage',
      '/lethe.analytics.v1.AnalyticsService': 'lethe-analytics',
      '/lethe.parking.v1.AnalyticsParkingService': 'lethe-analytics',
      '/lethe.rebuild.v1.AnalyticsRebuildService': 'lethe-analytics',
      '/lethe.privacy.v1.PrivacyService': 'lethe-privacy',
    });
  });

  it('does its jobs before pods change, as plain jobs, or not at all', () => {
    const jobs = (name: string) => ofKind(rendered.get(name)?.objects() ?? [], 'Job');
    const hooks = jobs('default values');
    assert.equal(hooks.length, 7);
    for (const { metadata } of hooks)
      assert.equal(metadata.annotations?.['helm.sh/hook'], 'pre-install,pre-upgrade');
    assert.equal(jobs('plain jobs').length, 7);
    for (const { metadata } of jobs('plain jobs')) {
      assert.equal(metadata.annotations, undefined);
      assert.match(metadata.name, /-[0-9a-f]{8}$/);
    }
    assert.deepEqual(jobs('no jobs'), []);
  });

  it('sends whoever is woken to the runbook, where that is kept', async () => {
    const annotations = (objects: readonly KubeObject[]) => {
      const [rule] = ofKind(objects, 'PrometheusRule');
      const { groups } = (rule?.spec ?? { groups: [] }) as {
        readonly groups: readonly { readonly rules: readonly { readonly annotations: Labels }[] }[];
      };
      return groups.flatMap(({ rules }) => rules.map((each) => each.annotations));
    };
    const given = annotations(rendered.get('all of monitoring')?.objects() ?? []);
    assert.ok(given.length > 10);
    for (const each of given) {
      assert.match(
        each['runbook_url'] ?? '',
        /^https:\/\/git\.example\.net\/lethe\/runbooks\/[a-z-]+\.md$/,
      );
    }
    const bare = withValues({ monitoring: { prometheusRule: { enabled: true } } });
    const named = annotations((await render(bare)).objects()).map(({ runbook }) => runbook);
    assert.equal(named.length, given.length);
    for (const each of named) assert.match(each ?? '', /^docs\/operators\/runbooks\//);
  }).timeout(30_000);

  it('scales by the time that a service is behind, never by offsets', () => {
    const { 'lethe.consumer.lag': read } = consumerMetrics;
    const { 'lethe.relay.lag': relayed } = relayMetrics;
    const lags = [
      prometheusName('lethe.consumer.lag', read),
      prometheusName('lethe.relay.lag', relayed),
    ];
    assert.deepEqual([read.unit, relayed.unit], ['s', 's']);
    const scalers = ofKind(rendered.get('scaling by lag')?.objects() ?? [], 'ScaledObject');
    assert.equal(scalers.length, 4);
    for (const { spec } of scalers) {
      const { triggers } = spec as {
        readonly triggers: readonly {
          readonly type: string;
          readonly metadata: { readonly query: string };
        }[];
      };
      assert.deepEqual(
        triggers.map(({ type }) => type),
        ['prometheus'],
      );
      const names = (triggers[0]?.metadata.query ?? '').match(/lethe_[a-z_]+/g);
      assert.deepEqual(names, lags);
    }
  });

  it('goes down by one pod at a time, whoever scales, and not for want of telemetry', () => {
    const objects = rendered.get('scaling of both kinds')?.objects() ?? [];
    const one = {
      scaleDown: {
        stabilizationWindowSeconds: 300,
        policies: [{ type: 'Pods', value: 1, periodSeconds: 120 }],
      },
    };
    const byCpu = ofKind(objects, 'HorizontalPodAutoscaler').map(({ spec }) => spec?.['behavior']);
    assert.deepEqual(byCpu, [one, one]);
    const byLag = ofKind(objects, 'ScaledObject');
    assert.ok(byLag.length > 0);
    for (const { spec } of byLag) {
      const { advanced, triggers, ...rest } = spec as {
        readonly advanced?: unknown;
        readonly triggers: readonly { readonly metadata: Labels }[];
      };
      assert.deepEqual(advanced, { horizontalPodAutoscalerConfig: { behavior: one } });
      // KEDA takes no answer for 0 unless told otherwise.
      assert.equal(triggers[0]?.metadata['ignoreNullValues'], 'false');
      // Of scaling to zero alone, which there is not.
      assert.ok(!('cooldownPeriod' in rest));
    }
  });
});

describe('values that leave something open', () => {
  it('are refused, and everything is said at once', async () => {
    const said = await refusal({});
    const fields = [
      ...['tickets', 'predictions', 'usage', 'analytics', 'privacy', 'keys', 'client'].map(
        (name) => `image.digests.${name}`,
      ),
      'postgresql.host',
      'postgresql.peers',
      'kafka.brokers',
      'kafka.peers',
      'clickhouse.url',
      'clickhouse.peers',
      'kms.vault.address',
      'kms.vault.peers',
      'tokens.issuer',
    ];
    for (const field of fields)
      assert.match(said, new RegExp(`^${field.replaceAll('.', '\\.')}: `, 'm'));
  }).timeout(30_000);

  const open: readonly (readonly [string, Values, RegExp])[] = [
    [
      'a missing digest',
      withValues({ image: { digests: { usage: '' } } }),
      /^image\.digests\.usage: give the digest/m,
    ],
    [
      'an address of keys that is not given',
      withValues({ tokens: { source: 'url' } }),
      /^tokens\.url: /m,
    ],
    [
      'peers of that address',
      withValues({ tokens: { source: 'url', url: 'https://a' } }),
      /^tokens\.peers: /m,
    ],
    [
      'one key for several algorithms',
      withValues({ tokens: { source: 'publicKey' } }),
      /^tokens\.algorithms: /m,
    ],
    [
      'a login without its role',
      withValues({ kms: { vault: { auth: 'kubernetes' } } }),
      /^kms\.vault\.role: /m,
    ],
    [
      'AWS without its region',
      withValues({ kms: { type: 'aws' } }),
      /^kms\.aws\.region: [\s\S]*^kms\.aws\.peers: /m,
    ],
    [
      'a collector without peers',
      withValues({ telemetry: { endpoint: 'http://c:4318' } }),
      /^telemetry\.peers: /m,
    ],
    ['an ingress without a host', withValues({ ingress: { enabled: true } }), /^ingress\.host: /m],
    ['no DNS', withValues({ networkPolicy: { dnsPeers: [] } }), /^networkPolicy\.dnsPeers: /m],
    [
      'more replicas in sync than there are',
      withValues({ kafka: { replicationFactor: 1 } }),
      /^kafka\.minInsyncReplicas: /m,
    ],
    [
      'fewer pods at most than at least',
      withValues({
        services: { usage: { scaling: { mode: 'cpu', minReplicas: 4, maxReplicas: 3 } } },
      }),
      /^services\.usage\.scaling\.minReplicas: /m,
    ],
    [
      'lag that nobody tells',
      withValues({ services: { usage: { scaling: { mode: 'lag' } } } }),
      /^monitoring\.prometheusAddress: /m,
    ],
    [
      'a collector that nobody finds',
      withValues({ monitoring: { serviceMonitor: { enabled: true } } }),
      /^monitoring\.serviceMonitor\.selector: /m,
    ],
  ];
  for (const [what, values, expected] of open) {
    it(`are refused: ${what}`, async () => assert.match(await refusal(values), expected)).timeout(
      30_000,
    );
  }
});

type IngressPath = {
  readonly path: string;
  readonly backend: { readonly service: { readonly name: string } };
};

function isRendered(
  entry: readonly [string, Rendered | undefined],
): entry is readonly [string, Rendered] {
  return entry[1] !== undefined;
}

async function refusal(values: Values): Promise<string> {
  try {
    await render(values);
  } catch (error) {
    if (error instanceof HelmRefusal) return error.said;
    throw error;
  }
  throw new assert.AssertionError({ message: 'the chart was rendered' });
}
