import type { ClickHouseClient } from '@clickhouse/client';
import type { JWK } from 'jose';
import { createAnalytics } from '@lethe/analytics/app.ts';
import { parseConfig as parseAnalyticsConfig } from '@lethe/analytics/config.ts';
import { createKeys } from '@lethe/keys/app.ts';
import { parseConfig as parseKeysConfig } from '@lethe/keys/config.ts';
import type { Kms } from '@lethe/keys/kms/port.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { tracedEventLog } from '@lethe/platform/event-log/traced-event-log.ts';
import type { InProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { tracedPeers, tracedService } from '@lethe/platform/grpc/traced-calls.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { noTelemetry, type Telemetry } from '@lethe/platform/telemetry/port.ts';
import { createPredictions } from '@lethe/predictions/app.ts';
import { parseConfig as parsePredictionsConfig } from '@lethe/predictions/config.ts';
import { createPrivacy } from '@lethe/privacy/app.ts';
import { parseConfig as parsePrivacyConfig } from '@lethe/privacy/config.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { createTickets } from '@lethe/tickets/app.ts';
import { parseConfig as parseTicketsConfig } from '@lethe/tickets/config.ts';
import { createUsage } from '@lethe/usage/app.ts';
import { parseConfig as parseUsageConfig } from '@lethe/usage/config.ts';

/** The stores and instruments that the six services share in one process. */
export interface SharedPorts {
  /** A schema per service in it. */
  readonly databases: Databases;
  readonly eventLog: EventLog;
  readonly clickHouse: ClickHouseClient;
  readonly kms: Kms;
  readonly certificateKey: JWK;
  readonly network: InProcessNetwork;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  /** Of each service; default: none. */
  readonly telemetryOf?: (service: ServiceName) => Telemetry;
  /** Settings of the services by variable name, as their own processes would read them. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Which stores are servers, for which the rules of one process alone do not hold. */
  readonly servers?: { readonly database: boolean; readonly ledger: boolean };
  /** Another name for the ledger's database, where several compositions share one ClickHouse. */
  readonly ledgerDatabase?: string;
}

/**
 * All six services over shared stores, each with its own schema and its own name among its peers. In the order in
 * which they start: keys before those who lease, privacy before those who read its topic.
 */
export function composeServices(shared: SharedPorts): ReadonlyMap<ServiceName, Service> {
  const { databases, eventLog, clickHouse, kms, network, clock, randomBytes, env } = shared;
  const { telemetryOf = () => noTelemetry } = shared;
  const portsOf = (service: ServiceName) => ({
    peers: tracedPeers(network.peersFor(service), telemetryOf(service), clock),
    eventLog: tracedEventLog(eventLog, telemetryOf(service), clock),
    clock,
    randomBytes,
    logger: shared.logger.child({ service }),
    telemetry: telemetryOf(service),
  });
  const { keysConfig, analyticsConfig } = configsOf(shared);
  const services: [ServiceName, Service][] = [
    ['keys', createKeys(keysConfig, { ...portsOf('keys'), db: databases.database('keys'), kms })],
    [
      'privacy',
      createPrivacy(parsePrivacyConfig(env), {
        ...portsOf('privacy'),
        db: databases.database('privacy'),
        signingKey: { privateJwk: shared.certificateKey },
      }),
    ],
    [
      'tickets',
      createTickets(parseTicketsConfig(env), {
        ...portsOf('tickets'),
        db: databases.database('tickets'),
      }),
    ],
    [
      'predictions',
      createPredictions(parsePredictionsConfig(env), {
        ...portsOf('predictions'),
        db: databases.database('predictions'),
      }),
    ],
    [
      'usage',
      createUsage(parseUsageConfig(env), { ...portsOf('usage'), db: databases.database('usage') }),
    ],
    [
      'analytics',
      createAnalytics(analyticsConfig, {
        ...portsOf('analytics'),
        db: databases.database('analytics'),
        clickHouse,
        ...(shared.ledgerDatabase === undefined ? {} : { ledgerDatabase: shared.ledgerDatabase }),
      }),
    ],
  ];
  const traced = services.map(
    ([name, service]) => [name, tracedService(service, telemetryOf(name), clock)] as const,
  );
  for (const [name, service] of traced) network.register(name, service.internalApi);
  return new Map(traced);
}

/** What keys and analytics are told that they cannot know. */
function configsOf({ env, servers }: SharedPorts) {
  const keysConfig = parseKeysConfig(env);
  const analyticsConfig = parseAnalyticsConfig(env);
  return {
    // A database that others can reach may have leased keys to a process that still lives, on another machine.
    keysConfig: {
      ...keysConfig,
      holdersEndWithProcess: servers?.database === true ? keysConfig.holdersEndWithProcess : true,
    },
    analyticsConfig: {
      ...analyticsConfig,
      ledgerStatementsMax: servers?.ledger === true ? analyticsConfig.ledgerStatementsMax : 1,
    },
  };
}
