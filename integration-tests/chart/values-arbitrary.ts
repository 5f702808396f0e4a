import fc from 'fast-check';
import { serviceNames } from '@lethe/proto/access.ts';
import { requiredValues, withValues } from './example-values.ts';
import type { Values } from './helm.ts';

/** As much of JSON Schema as values.schema.json uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

type Tree = Readonly<Record<string, unknown>>;

/**
 * Sets of values that the schema allows and that leave nothing open: any part of any of them, merged over the required
 * ones. Only what one value demands of another is mended afterwards.
 */
export function validValues(schema: Schema): fc.Arbitrary<Values> {
  return arbitraryOf(schema, 0.25).map((values) => mended(withValues(values as Tree)));
}

/** `density`: how often an optional part is there. */
function arbitraryOf(schema: Schema, density: number): fc.Arbitrary<unknown> {
  if (schema.$ref === '#/definitions/peer') return peer;
  if (schema.$ref === '#/definitions/toleration') return toleration;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === undefined) return fc.constantFrom(1, 'text', true);
  switch (schema.type) {
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000_000_000 });
    case 'string':
      return textOf(schema);
    case 'array': {
      const sizes = { minLength: schema.minItems ?? 0, maxLength: 4 };
      const item = arbitraryOf(schema.items ?? {}, density);
      return schema.uniqueItems === true ? fc.uniqueArray(item, sizes) : fc.array(item, sizes);
    }
    case 'object':
      return objectOf(schema, density);
  }
}

function textOf({ pattern, minLength }: Schema): fc.Arbitrary<string> {
  if (pattern !== undefined)
    return fc.stringMatching(new RegExp(pattern)).filter((each) => each.length < 60);
  const common = fc.constantFrom(
    'ca.crt',
    'true',
    '0',
    'null',
    'a: b',
    '"x"',
    "it's",
    '{{ x }}',
    '# no',
    '10',
  );
  return fc.oneof(
    common,
    fc.string({ minLength: minLength ?? 0, maxLength: 20, unit: 'grapheme-ascii' }),
  );
}

function objectOf(
  { properties, additionalProperties }: Schema,
  density: number,
): fc.Arbitrary<unknown> {
  if (properties === undefined) {
    if (typeof additionalProperties !== 'object') return fc.constant({});
    const name = fc.stringMatching(/^[a-z][a-z0-9./-]{0,20}[a-z0-9]$/);
    return fc.dictionary(name, arbitraryOf(additionalProperties, density), {
      maxKeys: 3,
      noNullPrototype: true,
    });
  }
  const members = Object.entries(properties).map(([name, schema]) => {
    const isLeaf = schema.properties === undefined;
    const weighted = fc.option(arbitraryOf(schema, density), {
      nil: undefined,
      freq: isLeaf ? 1 : 3,
    });
    return weighted.map((value) => [name, value] as const);
  });
  return fc
    .tuple(...members)
    .map((entries) => Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
}

const labels = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,9}$/),
  fc.stringMatching(/^[a-z0-9]{1,9}$/),
  {
    minKeys: 1,
    maxKeys: 2,
    noNullPrototype: true,
  },
);
const selector = labels.map((matchLabels) => ({ matchLabels }));
const cidr = fc
  .tuple(fc.ipV4(), fc.integer({ min: 8, max: 32 }))
  .map(([address, bits]) => `${address}/${bits}`);
const peer = fc.oneof(
  cidr.map((each) => ({ ipBlock: { cidr: each } })),
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
);
const toleration = fc.record({
  key: fc.stringMatching(/^[a-z]{1,9}$/),
  operator: fc.constant('Exists'),
  effect: fc.constantFrom('NoSchedule', 'NoExecute'),
});

/** What is empty and needed is taken from the required values; bounds that exclude each other are put in order. */
function mended(values: Values): Values {
  const needed: readonly (readonly [string, string])[] = [
    ['postgresql', 'host'],
    ['postgresql', 'peers'],
    ['kafka', 'brokers'],
    ['kafka', 'peers'],
    ['clickhouse', 'url'],
    ['clickhouse', 'peers'],
    ['tokens', 'issuer'],
  ];
  const filled = needed.map(([group, name]) => ({
    [group]: { [name]: filledOf(values, group, name) },
  }));
  const digests = [...serviceNames, 'client'].map((name) => {
    const given = at(values, ['image', 'digests', name]);
    return [name, given === '' ? at(requiredValues, ['image', 'digests', name]) : given];
  });
  return withValues(
    values,
    ...filled,
    { image: { digests: Object.fromEntries(digests) as Tree } },
    ...conditional(values),
  );
}

function filledOf(values: Values, group: string, name: string): unknown {
  const given = at(values, [group, name]);
  const isEmpty = given === '' || (Array.isArray(given) && given.length === 0);
  return isEmpty ? at(requiredValues, [group, name]) : given;
}

const somewhere = [{ ipBlock: { cidr: '10.99.0.0/16' } }];

/** For what is needed only with another value. */
function conditional(values: Values): readonly Tree[] {
  const is = (path: readonly string[], wanted: unknown) => at(values, path) === wanted;
  const isScaledByLag = serviceNames.some((name) =>
    is(['services', name, 'scaling', 'mode'], 'lag'),
  );
  const replicas = Math.max(
    (at(values, ['kafka', 'replicationFactor']) as number | undefined) ?? 3,
    2,
  );
  return [
    {
      kms: {
        vault: { address: 'https://vault.example.net:8200', role: 'keys', peers: somewhere },
        aws: { region: 'eu-central-1', peers: somewhere },
      },
    },
    { kafka: { replicationFactor: replicas, minInsyncReplicas: 2 } },
    { networkPolicy: { dnsPeers: somewhere } },
    { telemetry: { peers: somewhere } },
    ...(is(['tokens', 'source'], 'url')
      ? [{ tokens: { url: 'https://login.example.net/jwks', peers: somewhere } }]
      : []),
    ...(is(['tokens', 'source'], 'publicKey') ? [{ tokens: { algorithms: ['EdDSA'] } }] : []),
    ...(is(['ingress', 'enabled'], true) ? [{ ingress: { host: 'lethe.example.net' } }] : []),
    ...(isScaledByLag ? [{ monitoring: { prometheusAddress: 'http://prometheus:9090' } }] : []),
    { monitoring: { serviceMonitor: { selector: { app: 'collector' } } } },
    ...serviceNames
      .filter((name) => ['check', 'mend'].includes(String(at(values, ['jobs', 'repair', name]))))
      .map((name) => ({ services: { [name]: stoppedOf(values, name) } })),
    ...serviceNames
      .filter((name) => at(values, ['services', name, 'scaling']) !== undefined)
      .map((name) => ({ services: { [name]: { scaling: { minReplicas: 1 } } } })),
  ];
}

/** A service whose repair is wished has no pods, and nothing that makes some. */
function stoppedOf(values: Values, name: string): Tree {
  const isScaled = at(values, ['services', name, 'scaling', 'mode']) !== undefined;
  return { replicas: 0, ...(isScaled ? { scaling: { mode: 'fixed' } } : {}) };
}

/** What lies at a path; undefined when it is not there. */
export function at(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (tree, name) => (typeof tree === 'object' && tree !== null ? (tree as Tree)[name] : undefined),
    values,
  );
}
