import { createAnalytics } from '@lethe/analytics/app.ts';
import { parseConfig as parseAnalyticsConfig } from '@lethe/analytics/config.ts';
import { createKeys } from '@lethe/keys/app.ts';
import { parseConfig as parseKeysConfig } from '@lethe/keys/config.ts';
import { createConsumer } from '@lethe/platform/consumer/consumer.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { type AppliedSchema, storeApplied } from '@lethe/platform/testing/applied-records.ts';
import { createPrivacy } from '@lethe/privacy/app.ts';
import { parseConfig as parsePrivacyConfig } from '@lethe/privacy/config.ts';
import { createTickets } from '@lethe/tickets/app.ts';
import { parseConfig as parseTicketsConfig } from '@lethe/tickets/config.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { Kysely } from 'kysely';
import type { ClickHouseClient } from '@clickhouse/client';
import type { Kms } from '@lethe/keys/kms/port.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import { createSynchronousSigner } from './certificate-signer.ts';
import type { InstanceName } from './fault-plan.ts';
import type { SchemaName } from './stores.ts';

/** What an instance is composed of; planted bugs stand in here. */
export interface InstancePorts {
  readonly process: SimulatedProcess;
  readonly peers: Peers;
  readonly eventLog: EventLog;
  readonly kms: Kms;
  readonly clickHouse: ClickHouseClient;
  handle<Schema>(schema: SchemaName): Kysely<Schema>;
}

export function serviceOf(instance: InstanceName): { service: ServiceName; schema: SchemaName } {
  for (const name of ['keys', 'privacy', 'tickets', 'analytics'] as const) {
    if (instance.startsWith(name)) return { service: name, schema: name };
  }
  // The auditor calls as predictions would, who read the same topic.
  return { service: 'predictions', schema: 'audit' };
}

/** One for all runs: each that pino makes stays in memory until the process ends. */
const logger = createLogger({ service: 'simulation', level: 'silent' });

/** Short leases, so that seeds need not wait for long ones; the mark of completeness is not looked at. */
const settings = {
  LETHE_KEYS_LEASE_TTL_MS: '5000',
  LETHE_ANALYTICS_COMPLETENESS_POLL_MS: '60000',
  LETHE_ANALYTICS_CHUNK_RECORDS_MAX: '8',
};

/** The service as its own main composes it, on simulated ports. */
export function composeInstance(instance: InstanceName, ports: InstancePorts): Service {
  const { process, peers, eventLog } = ports;
  const { clock, randomBytes } = process;
  const { service } = serviceOf(instance);
  const shared = { peers, eventLog, clock, randomBytes, logger };
  if (instance === 'audit-a' || instance === 'audit-b') return composeAuditor(ports);
  switch (service) {
    case 'keys':
      // Before its first life nobody can have leased; after it the longest lease there is has to be waited for.
      return createKeys(
        { ...parseKeysConfig(settings), holdersEndWithProcess: isFirstLife(process) },
        {
          ...shared,
          db: ports.handle('keys'),
          kms: ports.kms,
        },
      );
    case 'privacy':
      return createPrivacy(parsePrivacyConfig({}), {
        ...shared,
        db: ports.handle('privacy'),
        signingKey: { privateJwk: {} },
        signer: createSynchronousSigner(),
      });
    case 'tickets':
      return createTickets(parseTicketsConfig({}), { ...shared, db: ports.handle('tickets') });
    case 'analytics':
      return createAnalytics(parseAnalyticsConfig(settings), {
        ...shared,
        db: ports.handle('analytics'),
        clickHouse: ports.clickHouse,
      });
    case 'predictions':
    case 'usage':
      throw new RangeError(`${service} is not simulated`);
  }
}

function isFirstLife({ name }: SimulatedProcess): boolean {
  return name.endsWith('#1');
}

/** Nothing but a consumer: it notes what it applied, in the order in which it did. */
function composeAuditor(ports: InstancePorts): Service {
  const { process, peers, eventLog } = ports;
  const consumer = createConsumer({
    name: 'audit',
    db: ports.handle<AppliedSchema>('audit'),
    eventLog,
    topics: ['tickets.v1'],
    peers,
    effect: storeApplied(),
    clock: process.clock,
    logger,
    recordsMax: 7,
  });
  return {
    publicApi: [],
    internalApi: [],
    start: async () => consumer.start(),
    stop: async () => consumer.stop(),
    problem: () => consumer.problem(),
  };
}
