import { serviceNames } from '@lethe/proto/access.ts';
import type { ClusterSystems } from './systems.ts';

/** What the chart is given: digests, four endpoints, and one pod of each where one node has to hold all. */
export function clusterValues(
  systems: ClusterSystems,
  host: string,
  digests: Readonly<Record<string, string>>,
): object {
  const peers = [{ ipBlock: { cidr: `${host}/32` } }];
  const services = serviceNames.map((name): [string, unknown] => [name, { replicas: 1 }]);
  return {
    image: { digests, pullPolicy: 'Never' },
    services: {
      ...Object.fromEntries(services),
      // The engine behind the front answers one statement at a time.
      analytics: { replicas: 1, settings: { LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: 1 } },
    },
    postgresql: { host, port: systems.postgresPort, peers },
    kafka: { brokers: [systems.kafka], replicationFactor: 1, minInsyncReplicas: 1, peers },
    clickhouse: { url: systems.clickHouse, username: 'default', peers },
    kms: { type: 'vault', vault: { address: systems.vault, peers } },
    tokens: { issuer: 'lethe-standalone', source: 'publicKey', algorithms: ['EdDSA'] },
    networkPolicy: { dnsPeers: peers },
    logLevel: 'info',
  };
}
