import { serviceNames, type ServiceName } from '@lethe/proto/access.ts';
import { dump } from 'js-yaml';
import { helpOf, type Setting, settingsIn } from '../configuration-page.ts';
import { type Group, type Json, schemaOf, type Value } from './schema-parts.ts';
import { serviceFacts, serviceShapes } from './service-shapes.ts';
import { readmeText } from './readme.ts';
import { chartValues } from './values.ts';

/** A file of the chart that is written from the services and from deploy/chart. */
export interface ChartFile {
  /** Below charts/lethe. */
  readonly path: string;
  readonly text: string;
}

/** Starts each service once, for what it says with --help. */
export function chartFiles(help: (service: ServiceName) => string = helpOf): readonly ChartFile[] {
  const said = new Map<ServiceName, readonly Setting[]>(
    serviceNames.map((name) => [name, settingsIn(help(name))]),
  );
  const settings = (name: ServiceName) => said.get(name) ?? [];
  const values = chartValues(serviceShapes(settings));
  return [
    { path: 'values.yaml', text: valuesYaml(values) },
    { path: 'values.schema.json', text: `${JSON.stringify(chartSchema(values), null, 2)}\n` },
    { path: 'README.md', text: readmeText(values) },
    { path: 'files/services.json', text: `${JSON.stringify(serviceFacts(settings), null, 2)}\n` },
  ];
}

/** What `helm` holds values against. */
function chartSchema(values: Group): Json {
  const root = schemaOf(values) as { readonly [name: string]: Json };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...root,
    properties: {
      ...(root['properties'] as { readonly [name: string]: Json }),
      global: { description: 'Of a chart that depends on this one; not read.', type: 'object' },
      enabled: {
        description: 'By which a chart that depends on this one leaves it away.',
        type: 'boolean',
      },
    },
    definitions,
  };
}

const labels = { type: 'object', additionalProperties: { type: 'string' } };
const selector = {
  type: 'object',
  additionalProperties: false,
  properties: {
    matchLabels: labels,
    matchExpressions: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['key', 'operator'],
        properties: {
          key: { type: 'string' },
          operator: { enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
          values: { type: 'array', items: { type: 'string' } },
        },
      },
    },
  },
};
const cidr = { type: 'string', pattern: '^[0-9a-fA-F:.]+/[0-9]{1,3}$' };

const definitions: Json = {
  peer: {
    description: 'As in a NetworkPolicy: an ipBlock, or selectors.',
    type: 'object',
    additionalProperties: false,
    minProperties: 1,
    properties: {
      ipBlock: {
        type: 'object',
        additionalProperties: false,
        required: ['cidr'],
        properties: { cidr, except: { type: 'array', items: cidr } },
      },
      namespaceSelector: selector,
      podSelector: selector,
    },
    not: {
      anyOf: [
        { required: ['ipBlock', 'namespaceSelector'] },
        { required: ['ipBlock', 'podSelector'] },
      ],
    },
  },
  toleration: {
    type: 'object',
    additionalProperties: false,
    properties: {
      key: { type: 'string' },
      operator: { enum: ['Exists', 'Equal'] },
      value: { type: 'string' },
      effect: { enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] },
      tolerationSeconds: { type: 'integer' },
    },
  },
};

function valuesYaml(values: Group): string {
  const head =
    '# Written by `node deploy/chart/write-chart.ts` from deploy/chart; README.md has the same as a table.\n';
  return head + yamlOf(values, '');
}

function yamlOf(part: Group, indent: string): string {
  return Object.entries(part.members)
    .map(([name, member]) => {
      const comment = `${indent}# ${member.description}\n`;
      if (member.kind === 'group')
        return `${comment}${indent}${name}:\n${yamlOf(member, `${indent}  `)}`;
      return comment + entryOf(name, member, indent);
    })
    .join(indent === '' ? '\n' : '');
}

function entryOf(name: string, { fallback }: Value, indent: string): string {
  const lines = dump({ [name]: fallback }, { lineWidth: -1 })
    .trimEnd()
    .split('\n');
  return lines.map((line) => `${indent}${line}\n`).join('');
}
