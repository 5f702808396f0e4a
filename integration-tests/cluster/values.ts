import { serviceNames } from '@lethe/proto/access.ts';
import type { ClusterSystems } from './systems.ts';

/** One node of two cores holds one pod of each, and the engine behind its front answers one statement at a time. */
export const oneNode = {
  ...Object.fromEntries(serviceNames.map((name): [string, object] => [name, { replicas: 1 }])),
  analytics: { replicas: 1, settings: { LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: 1 } },
};

/** Of one broker. */
export const oneBroker = { replicationFactor: 1, minInsyncReplicas: 1 };

/** What the chart is given: digests and four endpoints. */
export function clusterValues(
  systems: ClusterSystems,
  host: string,
  digests: Readonly<Record<string, string>>,
): object {
  const peers = [{ ipBlock: { cidr: `${host}/32` } }];
  return {
    image: { digests, pullPolicy: 'Never' },
    services: oneNode,
    postgresql: { host, port: systems.postgresPort, peers },
    kafka: { brokers: [systems.kafka], ...oneBroker, peers },
    clickhouse: { url: systems.clickHouse, username: 'default', peers },
    kms: { type: 'vault', vault: { address: systems.vault, peers } },
    tokens: { issuer: 'lethe-standalone', source: 'publicKey', algorithms: ['EdDSA'] },
    networkPolicy: { dnsPeers: peers },
    logLevel: 'info',
  };
}
