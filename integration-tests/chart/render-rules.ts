import assert from 'node:assert/strict';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { topics } from '@lethe/proto/topics.ts';
import type { Values } from './helm.ts';
import {
  componentOf,
  containersOf,
  type KubeObject,
  ofKind,
  podsOf,
  type PodSpec,
} from './kube-objects.ts';

/** What holds for whatever the chart renders. */
export type RenderRule = (objects: readonly KubeObject[], values: Values) => void;

const digestPinned = /@sha256:[0-9a-f]{64}$/;

/** Pods that there may be: partitions of what a service owns, else of the largest topic that it reads; of keys one. */
export function podsMax(service: ServiceName): number {
  if (service === 'keys') return 1;
  const owned = topics.filter(({ owner }) => owner === service);
  const read = topics.filter(({ consumers }) => (consumers as readonly string[]).includes(service));
  return Math.max(...(owned.length > 0 ? owned : read).map(({ partitions }) => partitions));
}

export const renderRules: Readonly<Record<string, RenderRule>> = {
  'has one Deployment, Service, ServiceAccount and budget per service': (objects) => {
    for (const kind of ['Deployment', 'Service', 'ServiceAccount', 'PodDisruptionBudget']) {
      const found = ofKind(objects, kind).map(({ metadata }) => componentOf(metadata.labels ?? {}));
      assert.deepEqual(found.toSorted(), [...serviceNames].toSorted(), kind);
    }
    for (const each of ofKind(objects, 'PodDisruptionBudget'))
      assert.equal(each.spec?.['maxUnavailable'], 1);
  },
  'makes no Secret, no role, no definition and no volume of its own': (objects) => {
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of [
      'Secret',
      'CustomResourceDefinition',
      'PersistentVolumeClaim',
      'StatefulSet',
      'Role',
      'RoleBinding',
      'ClusterRole',
      'ClusterRoleBinding',
    ]) {
      assert.ok(!kinds.has(kind), kind);
    }
  },
  'names each object once, in the namespace of the release, with labels': (objects) => {
    const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    assert.deepEqual(
      names.filter((each, index) => names.indexOf(each) !== index),
      [],
    );
    for (const { kind, metadata } of objects) {
      assert.ok(metadata.name.length <= 63, metadata.name);
      assert.equal(metadata.namespace, 'support', `${kind}/${metadata.name}`);
      assert.equal(metadata.labels?.['app.kubernetes.io/instance'], 'lethe');
    }
  },
  'keeps pods restricted': (objects) => {
    for (const pod of podsOf(objects)) {
      const { spec } = pod;
      assert.equal(spec.automountServiceAccountToken, false);
      assert.equal(spec.enableServiceLinks, false);
      assert.equal(spec.hostNetwork, undefined);
      assert.equal(spec.securityContext?.['runAsNonRoot'], true);
      assert.deepEqual(spec.securityContext?.['seccompProfile'], { type: 'RuntimeDefault' });
      for (const { name, securityContext: context } of containersOf(pod)) {
        assert.equal(context?.['readOnlyRootFilesystem'], true, name);
        assert.equal(context['allowPrivilegeEscalation'], false, name);
        assert.equal(context['runAsNonRoot'], true, name);
        assert.deepEqual(context['capabilities'], { drop: ['ALL'] }, name);
      }
    }
  },
  'pins images by digest unless told otherwise': (objects, values) => {
    const { allowUnpinned } = (values['image'] ?? {}) as { readonly allowUnpinned?: boolean };
    for (const pod of podsOf(objects)) {
      for (const { image } of containersOf(pod)) {
        if (allowUnpinned !== true) assert.match(image, digestPinned);
        assert.doesNotMatch(image, /:latest$/);
        assert.match(image, /lethe\/(tickets|predictions|usage|analytics|privacy|keys|client)[@:]/);
      }
    }
  },
  'limits memory and CPU, and the heap below the memory': (objects) => {
    for (const pod of podsOf(objects)) {
      for (const { name, resources, env } of containersOf(pod)) {
        const memory = Number(/^(\d+)Mi$/.exec(resources?.limits?.['memory'] ?? '')?.[1]);
        assert.equal(resources?.requests?.['memory'], resources?.limits?.['memory'], name);
        assert.ok(
          resources?.limits?.['cpu'] !== undefined && resources.requests?.['cpu'] !== undefined,
          name,
        );
        const options = env?.find((each) => each.name === 'NODE_OPTIONS')?.value ?? '';
        const heap = Number(/--max-old-space-size=(\d+)/.exec(options)?.[1]);
        assert.ok(heap > 0.6 * memory && heap < 0.7 * memory, `${name}: ${heap} of ${memory} MiB`);
      }
    }
  },
  'asks the health port over HTTPS, never by a program in the pod': (objects) => {
    for (const { spec } of deployed(objects)) {
      for (const { startupProbe, livenessProbe, readinessProbe, ports } of spec.containers) {
        assert.equal(ports?.find(({ name }) => name === 'health')?.containerPort, 7481);
        for (const [probe, path] of [
          [startupProbe, '/live'],
          [livenessProbe, '/live'],
          [readinessProbe, '/ready'],
        ] as const) {
          assert.deepEqual(probe?.httpGet, { path, port: 'health', scheme: 'HTTPS' });
          assert.equal(probe.exec, undefined);
        }
      }
    }
  },
  'gives pods more time to end than they take': (objects) => {
    for (const { spec } of deployed(objects)) {
      const set = (name: string) =>
        Number(spec.containers[0]?.env?.find((each) => each.name === name)?.value);
      const needed = set('LETHE_DRAIN_DELAY_MS') + set('LETHE_SHUTDOWN_GRACE_MS') + 15_000;
      assert.ok((spec.terminationGracePeriodSeconds ?? 0) * 1_000 > needed);
    }
  },
  'has at most one pod per partition, and one of keys': (objects) => {
    for (const { metadata, spec } of ofKind(objects, 'Deployment')) {
      const service = componentOf(metadata.labels ?? {}) as ServiceName;
      const scalers = objects.filter((each) => {
        const target = each.spec?.['scaleTargetRef'] as { readonly name?: string } | undefined;
        return target?.name === metadata.name;
      });
      const most = [
        spec?.['replicas'],
        ...scalers.map((each) => each.spec?.['maxReplicas'] ?? each.spec?.['maxReplicaCount']),
      ];
      const given = most.filter((each) => each !== undefined);
      assert.equal(given.length, 1, `${metadata.name}: a number of pods or a scaler, and not both`);
      assert.ok(Number(given[0]) <= podsMax(service), metadata.name);
      const strategy = spec?.['strategy'] as { readonly type: string };
      assert.equal(strategy.type, service === 'keys' ? 'Recreate' : 'RollingUpdate');
    }
  },
  'spreads pods over zones and nodes': (objects) => {
    for (const { spec } of deployed(objects)) {
      assert.deepEqual(
        spec.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey),
        ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'],
      );
    }
  },
  'gives each pod its own entries of Secrets alone, read-only': (objects) => {
    for (const { labels, spec } of podsOf(objects)) {
      const component = componentOf(labels);
      const secrets = (spec.volumes ?? []).flatMap(({ secret }) =>
        secret === undefined ? [] : [secret],
      );
      for (const { secretName, items } of secrets) {
        assert.ok(items !== undefined && items.length > 0, `${component}: all of ${secretName}`);
      }
      const entries = secrets.flatMap(({ items }) => items ?? []);
      const others = serviceNames.filter(
        (name) => name !== component.replace(/^(migrate|repair)-/, ''),
      );
      for (const { key, path } of entries) {
        if (path === 'password')
          assert.ok(
            !(others as readonly string[]).includes(key),
            `${component}: the password of ${key}`,
          );
      }
      const signs = entries.some(({ path }) => path === 'signing.jwk');
      assert.equal(signs, ['privacy', 'repair-privacy'].includes(component));
      for (const { volumeMounts } of spec.containers) {
        for (const mount of volumeMounts ?? []) assert.equal(mount.readOnly, true, mount.name);
      }
    }
  },
  'hands over secrets as files, never in variables or arguments': (objects) => {
    for (const pod of podsOf(objects)) {
      for (const { name, env } of containersOf(pod)) {
        const given = (env ?? []).filter(({ valueFrom }) => valueFrom !== undefined);
        assert.ok(!JSON.stringify(given).includes('secretKeyRef'), name);
        const worded = (env ?? []).filter((each) =>
          /PASSWORD|TOKEN|SECRET|HEADERS/.test(each.name),
        );
        for (const { name: variable, value = '' } of worded)
          assert.match(`${variable} ${value}`, /_FILE \/etc\/lethe\/|^LETHE_TOKEN_/);
      }
    }
  },
  'selects pods by labels that never change': (objects) => {
    const name = (objects[0]?.metadata.labels ?? {})['app.kubernetes.io/name'] ?? '';
    for (const { metadata, spec } of ofKind(objects, 'Deployment')) {
      const component = componentOf(metadata.labels ?? {});
      const expected = {
        'app.kubernetes.io/name': name,
        'app.kubernetes.io/instance': 'lethe',
        'app.kubernetes.io/component': component,
      };
      assert.deepEqual(spec?.['selector'], { matchLabels: expected });
      const service = ofKind(objects, 'Service').find(
        (each) => each.metadata.name === metadata.name,
      );
      assert.deepEqual(service?.spec?.['selector'], expected);
    }
  },
  'closes every pod to what is not named': (objects, values) => {
    const { enabled } = (values['networkPolicy'] ?? {}) as { readonly enabled?: boolean };
    const policies = ofKind(objects, 'NetworkPolicy');
    if (enabled === false) {
      assert.deepEqual(policies, []);
      return;
    }
    for (const { metadata, spec } of policies) {
      assert.deepEqual(spec?.['policyTypes'], ['Ingress', 'Egress'], metadata.name);
      for (const rule of (spec['egress'] ?? []) as readonly {
        readonly to?: unknown;
        readonly ports?: unknown;
      }[]) {
        assert.ok(Array.isArray(rule.to) && rule.to.length > 0, metadata.name);
        assert.ok(Array.isArray(rule.ports) && rule.ports.length > 0, metadata.name);
      }
      for (const rule of (spec['ingress'] ?? []) as readonly {
        readonly from?: unknown;
        readonly ports?: unknown;
      }[]) {
        assert.ok(Array.isArray(rule.from) && rule.from.length > 0, metadata.name);
        assert.ok(Array.isArray(rule.ports) && rule.ports.length > 0, metadata.name);
      }
    }
  },
};

function deployed(objects: readonly KubeObject[]): readonly { readonly spec: PodSpec }[] {
  return podsOf(objects).filter(({ object }) => object.kind === 'Deployment');
}
