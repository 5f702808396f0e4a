import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { type Topic, topics } from '@lethe/proto/topics.ts';
import type { Setting } from '../configuration-page.ts';
import { publicApis } from '../public-apis.ts';
import type { ServiceShape, ServiceShapes } from './values.ts';

/** What templates must know of a service: charts/lethe/files/services.json. */
export interface ServiceFacts {
  /** The services whose internal port it calls. */
  readonly calls: readonly ServiceName[];
  readonly hasPublicApi: boolean;
  readonly podsMax: number;
  /** gRPC services on its public port. */
  readonly apis: readonly string[];
}

/** Variables that templates set; all others are `services.<name>.settings`. */
const setByTemplates = [
  /^LETHE_(LOG_LEVEL|SHUTDOWN_GRACE_MS|DRAIN_DELAY_MS)$/,
  /^LETHE_(PEER|HEALTH|INTERNAL|TOKEN|KAFKA|OTLP|OTEL|TELEMETRY)_/,
  /^LETHE_PUBLIC_/,
  /^LETHE_POSTGRES_(URL|LOCK_URL|SCHEMA|TLS|PASSWORD_FILE|CA_FILE|CERTIFICATE_FILE|PRIVATE_KEY_FILE)$/,
  /^LETHE_CLICKHOUSE_(URL|USER|PASSWORD_FILE|CA_FILE)$/,
  /^LETHE_ANALYTICS_LEDGER_(CLUSTER|TABLES)$/,
  /^LETHE_PRIVACY_SIGNING_KEY_FILE$/,
  /^LETHE_KEYS_(KMS|HOLDERS_END_WITH_PROCESS)$/,
  /^LETHE_KEYS_(VAULT|AWS)_(?!TIMEOUT_MS$)/,
];

/** The shapes by what each service says of its settings. */
export function serviceShapes(settings: (name: ServiceName) => readonly Setting[]): ServiceShapes {
  const shape = (name: ServiceName): ServiceShape => {
    const free = settings(name).filter(
      (each) => !setByTemplates.some((rule) => rule.test(each.name)),
    );
    const typed = free.map(({ name: variable, state }) => [variable, typeOf(state)] as const);
    return { podsMax: podsMax(name), settings: Object.fromEntries(typed) };
  };
  const entries = serviceNames.map((name) => [name, shape(name)] as const);
  return Object.fromEntries(entries) as Record<ServiceName, ServiceShape>;
}

function typeOf(state: string): 'integer' | 'string' {
  return /^default \d+$/.test(state) ? 'integer' : 'string';
}

/** Facts by what each service says of its settings. */
export function serviceFacts(
  settings: (name: ServiceName) => readonly Setting[],
): Readonly<Record<ServiceName, ServiceFacts>> {
  const facts = (name: ServiceName): ServiceFacts => {
    const variables = settings(name).map((each) => each.name);
    return {
      calls: serviceNames.filter((peer) => variables.includes(`LETHE_PEER_${peer.toUpperCase()}`)),
      hasPublicApi: variables.includes('LETHE_PUBLIC_PORT'),
      podsMax: podsMax(name),
      apis: publicApis(name),
    };
  };
  return Object.fromEntries(serviceNames.map((name) => [name, facts(name)])) as Record<
    ServiceName,
    ServiceFacts
  >;
}

/** Partitions of the topic that it owns, or of the largest that it reads; one process of `keys` alone may be there. */
function podsMax(name: ServiceName): number {
  if (name === 'keys') return 1;
  const owned = topics.filter((topic: Topic) => topic.owner === name);
  const read = topics.filter((topic: Topic) => topic.consumers.includes(name));
  const concerned = owned.length > 0 ? owned : read;
  return Math.max(...concerned.map(({ partitions }) => partitions));
}
