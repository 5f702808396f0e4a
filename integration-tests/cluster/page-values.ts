import assert from 'node:assert/strict';
import { dump, load } from 'js-yaml';
import type { ClusterSystems } from './systems.ts';
import { oneBroker, oneNode } from './values.ts';

/** Paths of the page's values that a reader replaces by what is their own. */
const replaced = [
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

/**
 * The page's values as a reader would fill them in here: the endpoints, and what one broker, one node of two cores and the
 * engine behind its front need beside them. Whatever else the page sets stays as it is.
 */
export function valuesForHere(text: string, systems: ClusterSystems, host: string): string {
  const peers = [{ ipBlock: { cidr: `${host}/32` } }];
  const values = {
    postgresql: { host, port: systems.postgresPort, peers },
    kafka: { brokers: [systems.kafka], ...oneBroker, peers },
    clickhouse: { url: systems.clickHouse, username: 'default', peers },
    kms: { vault: { address: systems.vault, peers } },
    tokens: { issuer: 'lethe-standalone' },
    // Whose pods may call is the page's.
    networkPolicy: (load(text) as { readonly networkPolicy: unknown }).networkPolicy,
    services: oneNode,
  };
  const page = leaves(load(text));
  const here = leaves(values);
  for (const [place, value] of page) {
    if (replaced.includes(place)) assert.notDeepEqual(here.get(place), value, place);
    else assert.deepEqual(here.get(place), value, place);
  }
  assert.deepEqual(
    replaced.filter((place) => !page.has(place)),
    [],
  );
  return dump(values, { lineWidth: 120, noRefs: true });
}

/** What lies where; a list is one value. */
function leaves(value: unknown, at = ''): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map([[at, value]]);
  }
  const inside = Object.entries(value).flatMap(([key, each]) => [
    ...leaves(each, at === '' ? key : `${at}.${key}`),
  ]);
  return new Map(inside);
}
