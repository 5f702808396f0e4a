import { serviceNames } from '@lethe/proto/access.ts';
import type { Values } from './helm.ts';

type Tree = { readonly [name: string]: unknown };

const digestOf = (index: number) => `sha256:${String(index).repeat(64).slice(0, 64)}`;

/** What an installation must say at least: four endpoints with their peers, whose tokens are taken, digests. */
export const requiredValues: Values = {
  image: {
    digests: Object.fromEntries(
      [...serviceNames, 'client'].map((name, index) => [name, digestOf(index + 1)]),
    ),
  },
  postgresql: {
    host: 'postgres.example.net',
    peers: [{ ipBlock: { cidr: '10.1.0.0/16' } }],
  },
  kafka: {
    brokers: ['kafka-0.example.net:9093', 'kafka-1.example.net:9093'],
    peers: [{ ipBlock: { cidr: '10.2.0.0/16' } }],
  },
  clickhouse: {
    url: 'https://clickhouse.example.net:8443',
    peers: [{ ipBlock: { cidr: '10.3.0.0/16' } }],
  },
  kms: {
    vault: {
      address: 'https://vault.example.net:8200',
      peers: [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'vault' } },
          podSelector: { matchLabels: { app: 'vault' } },
        },
      ],
    },
  },
  tokens: { issuer: 'https://login.example.net' },
};

/** The required values and others, merged as Helm does it: maps by key, everything else replaced. */
export function withValues(...others: readonly Tree[]): Values {
  return others.reduce<Values>((merged, other) => merge(merged, other), requiredValues);
}

function merge(under: Tree, over: Tree): Tree {
  const merged: Record<string, unknown> = { ...under };
  for (const [name, value] of Object.entries(over)) {
    const known = merged[name];
    merged[name] = isTree(known) && isTree(value) ? merge(known, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
