import { loadAll } from 'js-yaml';

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

export type Labels = Readonly<Record<string, string>>;

export interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values?: readonly string[];
  }[];
}

/** The parts of a pod that tests look at. */
export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly hostNetwork?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly topologySpreadConstraints?: readonly { readonly topologyKey: string }[];
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
}

export interface Volume {
  readonly name: string;
  readonly secret?: {
    readonly secretName: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
  readonly projected?: unknown;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: unknown;
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources?: {
    readonly limits?: Labels;
    readonly requests?: Labels;
  };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}

export interface Probe {
  readonly httpGet?: {
    readonly path: string;
    readonly port: string | number;
    readonly scheme?: string;
  };
  readonly exec?: unknown;
}

/** One object of Kubernetes, as far as tests look at it. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** The objects of a rendered text. */
export function parseObjects(text: string): readonly KubeObject[] {
  return loadAll(text).filter((each) => each !== null && each !== undefined) as KubeObject[];
}

export function ofKind(objects: readonly KubeObject[], kind: string): readonly KubeObject[] {
  return objects.filter((each) => each.kind === kind);
}

/** A pod, or what makes pods. */
export interface Pods {
  readonly object: KubeObject;
  readonly labels: Labels;
  readonly spec: PodSpec;
}

/** Whatever becomes a pod. */
export function podsOf(objects: readonly KubeObject[]): readonly Pods[] {
  return objects.flatMap((object) => {
    if (object.kind === 'Pod') {
      return [{ object, labels: object.metadata.labels ?? {}, spec: podSpec(object.spec) }];
    }
    const template = object.spec?.['template'] as
      { readonly metadata?: Metadata; readonly spec?: unknown } | undefined;
    if (template?.spec === undefined) return [];
    return [{ object, labels: template.metadata?.labels ?? {}, spec: podSpec(template.spec) }];
  });
}

function podSpec(spec: unknown): PodSpec {
  return spec as PodSpec;
}

/** Containers of a pod, those that run first too. */
export function containersOf({ spec }: Pods): readonly Container[] {
  return [...spec.containers, ...(spec.initContainers ?? [])];
}

export function componentOf(labels: Labels): string {
  return labels['app.kubernetes.io/component'] ?? '';
}
