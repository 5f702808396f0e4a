import assert from 'node:assert/strict';
import { dump, load } from 'js-yaml';
import { serviceNames } from '@lethe/proto/access.ts';
import type { ClusterSystems } from './systems.ts';

interface PageValues {
  readonly postgresql: { readonly host: string };
  readonly kafka: { readonly brokers: readonly string[] };
  readonly clickhouse: { readonly url: string };
  readonly kms: { readonly vault: { readonly address: string } };
  readonly tokens: { readonly issuer: string };
}

/**
 * The page's values as a reader would fill them in here: the endpoints, and what one broker, one node of two cores and the
 * engine behind its front need beside them. Nothing that the page sets is left out.
 */
export function valuesForHere(text: string, systems: ClusterSystems, host: string): string {
  const page = load(text) as PageValues;
  const peers = [{ ipBlock: { cidr: `${host}/32` } }];
  const single = serviceNames.map((name): [string, object] => [name, { replicas: 1 }]);
  const values = {
    ...page,
    postgresql: { ...page.postgresql, host, port: systems.postgresPort, peers },
    kafka: {
      ...page.kafka,
      brokers: [systems.kafka],
      replicationFactor: 1,
      minInsyncReplicas: 1,
      peers,
    },
    clickhouse: { ...page.clickhouse, url: systems.clickHouse, username: 'default', peers },
    kms: { ...page.kms, vault: { ...page.kms.vault, address: systems.vault, peers } },
    tokens: { ...page.tokens, issuer: 'lethe-standalone' },
    services: {
      ...Object.fromEntries(single),
      // The engine behind the front answers one statement at a time.
      analytics: { replicas: 1, settings: { LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: 1 } },
    },
  };
  assert.deepEqual(missingKeys(page, values), []);
  return dump(values, { lineWidth: 120, noRefs: true });
}

/** Paths that the first has and the second has not; what lies in lists is not looked at. */
function missingKeys(one: unknown, other: unknown, at = ''): readonly string[] {
  if (typeof one !== 'object' || one === null || Array.isArray(one)) return [];
  const found = other as Readonly<Record<string, unknown>>;
  return Object.entries(one).flatMap(([key, value]) =>
    found[key] === undefined ? [`${at}${key}`] : missingKeys(value, found[key], `${at}${key}.`),
  );
}
