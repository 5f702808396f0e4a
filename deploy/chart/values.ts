import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import {
  flag,
  forEachName,
  group,
  type Group,
  labelMap,
  list,
  oneOf,
  optionalMembers,
  optionalText,
  text,
  textMap,
  type Value,
  whole,
} from './schema-parts.ts';
import {
  clickHouseValues,
  endpointName,
  kafkaValues,
  kmsValues,
  postgresValues,
  secretName,
  tokenValues,
} from './store-values.ts';
import { monitoringValues, telemetryValues } from './telemetry-values.ts';

/** What the chart must know of a service to say which values it takes. */
export interface ServiceShape {
  /** Pods that can have work: partitions of the topic that it owns or reads; 1 where there may be one process alone. */
  readonly podsMax: number;
  /** Variables that the chart does not set itself, with their type. */
  readonly settings: Readonly<Record<string, 'integer' | 'string'>>;
}

export type ServiceShapes = Readonly<Record<ServiceName, ServiceShape>>;

/** `keys` has nothing to repair. */
const repaired = serviceNames.filter((name) => name !== 'keys');

const imageNames = [...serviceNames, 'client'];

/** All values of the chart. `global` and `enabled` are for charts that depend on it; see the schema. */
export function chartValues(shapes: ServiceShapes): Group {
  return group('Values of the chart lethe', {
    nameOverride: optionalText(
      'Instead of "lethe" in the labels.',
      '[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?',
    ),
    fullnameOverride: optionalText(
      'Instead of the release and "lethe" before the name of everything.',
      '[a-z]([-a-z0-9]{0,38}[a-z0-9])?',
    ),
    image: imageValues(),
    services: forEachName('The six services.', serviceNames, (name) =>
      serviceValues(name as ServiceName, shapes[name as ServiceName]),
    ),
    postgresql: postgresValues(),
    kafka: kafkaValues(),
    clickhouse: clickHouseValues(),
    kms: kmsValues(),
    tokens: tokenValues(),
    internalTls: group('Certificates by which services know each other (docs/operators/tls.md).', {
      existingSecrets: forEachName(
        'Secrets with `tls.crt`, `tls.key` and `ca.crt`, one per service.',
        serviceNames,
        (name) => secretName(`Of ${name}: URI spiffe://lethe/${name}.`, `lethe-${name}-internal`),
      ),
    }),
    publicTls: group('The certificate that clients see.', {
      existingSecret: secretName('With `tls.crt` and `tls.key`.', 'lethe-public-tls'),
    }),
    certificateSigning: group('The key that signs certificates of erasure; privacy alone has it.', {
      existingSecret: secretName('With the private key.', 'lethe-certificate-signing'),
      secretKey: text('Where in it the JWK lies.', 'signing.jwk', { minLength: 1 }),
    }),
    ingress: ingressValues(),
    networkPolicy: networkPolicyValues(),
    drain: group('How a pod stops; terminationGracePeriodSeconds is made of these.', {
      delayMs: whole('How long it serves on, not ready any more.', 5_000, 0, 120_000),
      graceMs: whole('How long calls in flight may take after that.', 20_000, 0, 600_000),
    }),
    spread: group('Pods of a service on different zones and nodes.', {
      zone: spreading('zones'),
      node: spreading('nodes'),
    }),
    pods: podValues(),
    jobs: jobValues(),
    test: testValues(),
    telemetry: telemetryValues(),
    monitoring: monitoringValues(),
    logLevel: oneOf('The least that is logged.', 'info', [
      'debug',
      'info',
      'warn',
      'error',
      'silent',
    ]),
  });
}

function imageValues(): Group {
  return group('Images: <registry>/<repository>/<service>@<digest>.', {
    registry: optionalText('Before the repository.', '[a-z0-9][-a-z0-9.:]*'),
    repository: text('Of all images.', 'lethe', { pattern: '^[a-z0-9][-a-z0-9._/]*$' }),
    digests: forEachName(
      'One per image. Rendering fails while one is missing.',
      imageNames,
      (name) => optionalText(`Of the image ${name}.`, 'sha256:[0-9a-f]{64}'),
    ),
    allowUnpinned: flag(
      'Take the tag where a digest is missing: for trying, not for production.',
      false,
    ),
    tag: optionalText(
      "With allowUnpinned; else the chart's appVersion.",
      '[A-Za-z0-9_][-A-Za-z0-9._]{0,127}',
    ),
    pullPolicy: oneOf('When nodes pull.', 'IfNotPresent', ['Always', 'IfNotPresent', 'Never']),
    pullSecrets: list('Names of Secrets with the login to the registry.', {
      type: 'string',
      minLength: 1,
    }),
  });
}

/** `keys` holds leases in memory: there is one. */
function serviceValues(name: ServiceName, { podsMax, settings }: ServiceShape): Group {
  const isSingle = podsMax === 1;
  const scaling: Record<string, Value> = isSingle
    ? {}
    : {
        mode: oneOf(
          'fixed; cpu: HorizontalPodAutoscaler; lag: KEDA, by the seconds it is behind.',
          'fixed',
          ['fixed', 'cpu', 'lag'],
        ),
        minReplicas: whole('With cpu and lag.', 2, 1, podsMax),
        maxReplicas: whole(
          'With cpu and lag; a pod without a partition has nothing to do.',
          podsMax,
          1,
          podsMax,
        ),
        cpuPercent: whole('Of the request, with cpu.', 70, 10, 100),
        lagSeconds: whole('That one pod may be behind, with lag.', 10, 1, 3_600),
      };
  return group(`Of ${name}.`, {
    replicas: isSingle
      ? whole(`Pods. There may be one: ${whyOne(name)}.`, 1, 0, 1)
      : whole('Pods, with scaling.mode fixed; at most one per partition.', 2, 0, podsMax),
    ...(isSingle ? {} : { scaling: group('How many pods there are.', scaling) }),
    memoryMiB: whole(
      'Limit and request of memory; 65 % of it is the limit of the heap (--max-old-space-size).',
      name === 'analytics' ? 1_024 : 768,
      256,
      65_536,
    ),
    cpu: group('Of one pod; a process uses little more than one core.', {
      request: quantity('Request.', '250m'),
      limit: quantity('Limit.', '2'),
    }),
    settings: optionalMembers(
      'Further variables (docs/operators/configuration.md), those that the chart does not set itself.',
      Object.fromEntries(Object.entries(settings).map(([variable, type]) => [variable, { type }])),
    ),
    serviceAccountAnnotations: textMap('Such as the role that a cloud gives to the pod.'),
  });
}

function whyOne(name: ServiceName): string {
  return name === 'keys' ? 'it knows in memory who has leased what' : 'its topic has one partition';
}

function quantity(description: string, fallback: string): Value {
  return text(description, fallback, { pattern: '^([1-9][0-9]*m|[0-9]+(\\.[0-9]+)?)$' });
}

function spreading(what: string): Value {
  return oneOf(`Over ${what}: a wish, or a must.`, 'ScheduleAnyway', [
    'ScheduleAnyway',
    'DoNotSchedule',
  ]);
}

function ingressValues(): Group {
  return group(
    'One address for clients: routes gRPC by service. The controller must speak gRPC over TLS to pods.',
    {
      enabled: flag('Whether there is one.', false),
      className: optionalText('Its class.', endpointName),
      host: optionalText('The name that clients use.', endpointName),
      tlsSecret: optionalText('A Secret with its certificate.', endpointName),
      annotations: textMap('Such as nginx.ingress.kubernetes.io/backend-protocol: GRPCS.'),
    },
  );
}

function networkPolicyValues(): Group {
  return group(
    'Nothing may be reached and nothing may be called but what is named. Peers of stores stand with the stores.',
    {
      enabled: flag('Needs a network plugin that enforces them.', true),
      dnsPeers: peers('The DNS of the cluster.', [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
          podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
        },
      ]),
      clientPeers: peers(
        'Who may call the public ports: the ingress controller, other applications.',
      ),
      monitoringPeers: peers('Who may ask the health ports. Probes of the kubelet need no leave.'),
    },
  );
}

export function peers(description: string, fallback: Parameters<typeof list>[2] = []): Value {
  return list(`${description} CIDR or selector.`, { $ref: '#/definitions/peer' }, fallback);
}

function podValues(): Group {
  return group('Of every pod.', {
    userId: whole('User and group; the images have files for this one.', 65_532, 1, 2_147_483_647),
    labels: labelMap('More labels.'),
    annotations: textMap('More annotations.'),
    restartedAt: text(
      'Change it to restart all pods, as after a Secret was changed that is read once.',
      '',
    ),
    nodeSelector: textMap('Where pods may run.'),
    tolerations: list('Of taints.', { $ref: '#/definitions/toleration' }),
    priorityClassName: optionalText('Their priority.', endpointName),
    failoverSeconds: whole(
      'After which pods of a node that vanished are made elsewhere.',
      30,
      0,
      3_600,
    ),
    progressDeadlineSeconds: whole('After which a rollout counts as failed.', 900, 60, 86_400),
  });
}

function jobValues(): Group {
  const mode = (description: string, fallback: string) =>
    oneOf(
      `${description} hook: before each install and upgrade; job: a plain Job; off.`,
      fallback,
      ['hook', 'job', 'off'],
    );
  return group('What is done before pods change.', {
    migrations: mode('Tables. Services make their own at start too; this finds out first.', 'hook'),
    topics: mode('Topics of Kafka, as the user below.', 'hook'),
    topicsUser: text('Its password lies in kafka.existingSecret under this name.', 'lethe-admin', {
      minLength: 1,
    }),
    memoryMiB: whole('Limit and request of memory.', 384, 128, 65_536),
    deadlineSeconds: whole('After which a job counts as failed.', 600, 10, 86_400),
    repair: forEachName(
      'A database that was restored (docs/operators/repair.md), by a plain Job with all that the service has. Its pods must be gone: replicas 0.',
      repaired,
      (name) =>
        oneOf(`Of ${name}. check: looks; mend: brings it forward; off.`, 'off', [
          'off',
          'check',
          'mend',
        ]),
    ),
  });
}

function testValues(): Group {
  return group(
    '`helm test`: appends a ticket, reads it, erases its person, verifies the certificate.',
    {
      enabled: flag('Whether there is one.', true),
      existingSecret: secretName(
        'With `token` (of a tenant for tests; roles writer, reader, privacy-officer), `admin-token` (role platform-admin, where nobody has registered that tenant), `certificate-key.pem`, and `ca.crt` for the public certificate.',
        'lethe-test',
      ),
      authorityKey: text(
        'Where in it the authority of the public certificate lies; empty: those of Node.',
        'ca.crt',
      ),
    },
  );
}
