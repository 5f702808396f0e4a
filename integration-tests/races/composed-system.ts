import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Kysely } from 'kysely';
import { exportJWK, generateKeyPair } from 'jose';
import { freshDatabase, sharedClickHouse } from '@lethe/analytics/testing/shared-clickhouse.ts';
import { openKeyringKms } from '@lethe/keys/kms/keyring-kms.ts';
import { openSqliteEventLog } from '@lethe/platform/event-log/sqlite.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { CallContext, MethodDefinition } from '@lethe/platform/grpc/handler.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createTemporaryFolder } from '@lethe/platform/testing/temporary-folder.ts';
import { openAnyTestDatabases } from '@lethe/platform/testing/test-database.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { topics } from '@lethe/proto/topics.ts';
import { composeServices, type SharedPorts } from '@lethe/standalone/compose.ts';
import { createGates, type Gates } from './gates.ts';

/** All six services as standalone composes them, on stores of their own, with gates between them. */
export interface ComposedSystem {
  readonly gates: Gates;
  readonly eventLog: EventLog;
  /** A handle on a service's schema, for looking at what it stored. */
  schemaOf<Schema>(service: ServiceName): Kysely<Schema>;
  readonly services: ReadonlyMap<ServiceName, Service>;
  /** Calls a public RPC as a caller of a tenant who has every role; without a tenant, as a platform admin. */
  call<Request, Response>(
    service: ServiceName,
    method: MethodDefinition<Request, Response>,
    request: Request,
    tenantId?: TenantId,
  ): Promise<Response>;
  stop(): Promise<void>;
}

/**
 * Stores in the place of the system's own; the caller closes all but the log. Two systems with one `schemaPrefix`, one
 * after the other, are one installation that was restarted.
 */
export type GivenStores = Pick<SharedPorts, 'eventLog' | 'clickHouse' | 'kms' | 'env'> &
  Required<Pick<SharedPorts, 'servers'>> &
  Pick<SharedPorts, 'ledgerDatabase'> & { readonly schemaPrefix?: string };

/** Default: none. */
export type TelemetryOf = NonNullable<SharedPorts['telemetryOf']>;

/**
 * `databases` are the caller's to close; by default those of the process's tests. `watched` may put something between
 * the services and the log.
 */
export async function startComposedSystem(
  name: string,
  given?: Databases,
  watched: (log: EventLog) => EventLog = (log) => log,
  stores?: GivenStores,
  telemetryOf?: TelemetryOf,
): Promise<ComposedSystem> {
  const folder = createTemporaryFolder(name);
  const databases = given ?? (await openAnyTestDatabases());
  const prefix =
    stores?.schemaPrefix ?? `${name.replaceAll('-', '_')}_${randomBytes(3).toString('hex')}`;
  const logger = createLogger({ service: name, level: 'silent' });
  const openOwnLog = () =>
    openSqliteEventLog({
      path: path.join(folder.path, 'log.sqlite'),
      partitions: new Map(topics.map((topic) => [topic.name, topic.partitions])),
      clock: systemClock,
      logger,
    });
  const eventLog = watched(stores?.eventLog ?? openOwnLog());
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const gates = createGates(createInProcessNetwork());
  const services = composeServices({
    databases: {
      database: (schemaName) => databases.database(`${prefix}_${schemaName}`),
      close: async () => {
        // Whoever opened them closes them.
      },
    },
    clickHouse: stores?.clickHouse ?? sharedClickHouse(),
    kms:
      stores?.kms ??
      (await openKeyringKms({ path: path.join(folder.path, 'keyring.json'), randomBytes })),
    env: {},
    ledgerDatabase: freshDatabase(name),
    ...stores,
    ...(telemetryOf === undefined ? {} : { telemetryOf }),
    eventLog,
    certificateKey: await exportJWK(pair.privateKey),
    network: gates.network,
    clock: systemClock,
    randomBytes,
    logger,
  });
  for (const service of services.values()) await service.start();
  return {
    gates,
    eventLog,
    schemaOf: (service) => databases.database(`${prefix}_${service}`),
    services,
    call: async (service, method, request, tenantId) =>
      await callPublic(services, service, method, request, tenantId),
    stop: async () => {
      for (const service of [...services.values()].toReversed()) await service.stop();
      await eventLog.close();
      folder.remove();
    },
  };
}

async function callPublic<Request, Response>(
  services: ReadonlyMap<ServiceName, Service>,
  service: ServiceName,
  method: MethodDefinition<Request, Response>,
  request: Request,
  tenantId?: TenantId,
): Promise<Response> {
  const registered = services
    .get(service)
    ?.publicApi.flatMap(({ methods }) => methods)
    .find(({ definition }) => definition.path === method.path);
  if (registered?.kind !== 'unary') throw new RangeError(`${method.path} is no unary RPC`);
  const call: CallContext = {
    caller:
      tenantId === undefined
        ? { kind: 'platform', subject: 'test', roles: ['platform-admin'] }
        : {
            kind: 'tenant',
            tenantId,
            subject: 'test',
            roles: ['writer', 'reader', 'privacy-officer'],
          },
    signal: new AbortController().signal,
  };
  const sent = method.requestDeserialize(method.requestSerialize(request));
  const response = await registered.handler(sent, call);
  // The handler answers what the method's definition says.
  return method.responseDeserialize(method.responseSerialize(response as Response));
}
