import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import {
  PrivacyServiceService,
  ReceiptServiceService,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Peers, ServiceRegistration } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { observeProblems } from '@lethe/platform/lifecycle/observe-service.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { observeOutbox } from '@lethe/platform/outbox/observe-outbox.ts';
import { createRelay } from '@lethe/platform/outbox/relay.ts';
import { sequenceServiceHandlers } from '@lethe/platform/outbox/sequence-service.ts';
import { recordTraceContext } from '@lethe/platform/telemetry/record-trace.ts';
import { noTelemetry, type Telemetry } from '@lethe/platform/telemetry/port.ts';
import type { JWK } from 'jose';
import type { Kysely } from 'kysely';
import { type CertificateSigner, createCertificateSigner } from './certificate/signer.ts';
import type { PrivacyConfig } from './config.ts';
import { createErasureDriver } from './erasure-driver.ts';
import { advanceErasure, type ErasureStepsPorts } from './erasure-steps.ts';
import { createErasureWriter, type ErasureWriter } from './erasure-writer.ts';
import { migrations } from './migrations/migrations.ts';
import { measuringErasures, observeOpenErasures } from './observe-erasures.ts';
import type { PersonResolver } from './persons.ts';
import { privacyTopic } from './privacy-events.ts';
import { getCertificate } from './rpc/get-certificate.ts';
import { getErasure } from './rpc/get-erasure.ts';
import { getSigningKey } from './rpc/get-signing-key.ts';
import { listErasures } from './rpc/list-erasures.ts';
import { listTenants } from './rpc/list-tenants.ts';
import { recordReceipt } from './rpc/record-receipt.ts';
import { registerTenant } from './rpc/register-tenant.ts';
import { requestErasure } from './rpc/request-erasure.ts';
import { watchErasure } from './rpc/watch-erasure.ts';
import type { PrivacySchema } from './schema.ts';
import { createWatchers, type Watchers } from './watchers.ts';

export interface PrivacyPorts {
  readonly db: Kysely<PrivacySchema>;
  readonly eventLog: EventLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  /** Default: none. */
  readonly telemetry?: Telemetry;
  /** Ed25519: signs certificates. */
  readonly signingKey: { readonly privateJwk: JWK };
  /** Signs instead, where a simulation has to do without other threads. */
  readonly signer?: CertificateSigner;
}

/** What the handlers share. */
interface Rooms {
  readonly ports: PrivacyPorts;
  readonly steps: ErasureStepsPorts;
  readonly writer: ErasureWriter;
  readonly persons: PersonResolver;
  readonly watchers: Watchers;
  readonly wakeRelay: () => void;
  readonly traceContext: (() => Buffer | undefined) | undefined;
}

/** Composes the privacy service; nothing runs before `start`. Throws CONFIG_INVALID for a wrong signing key. */
export function createPrivacy(config: PrivacyConfig, ports: PrivacyPorts): Service {
  const { db, eventLog, peers, clock, logger, randomBytes, telemetry = noTelemetry } = ports;
  const traceContext = recordTraceContext(telemetry);
  const measured = telemetry.isOn ? measuringErasures(telemetry) : undefined;
  const relay = createRelay({ db, eventLog, topic: privacyTopic, clock, logger });
  const watchers = createWatchers(clock);
  const writer = createErasureWriter({
    db,
    clock,
    randomBytes,
    onChanged: (erasureId: ErasureId) => {
      relay.wake();
      driver.wake();
      watchers.notify(erasureId);
    },
    ...(traceContext === undefined ? {} : { traceContext }),
    ...(measured === undefined ? {} : { measured }),
  });
  const keys = peers('keys');
  const signer = ports.signer ?? createCertificateSigner(ports.signingKey.privateJwk);
  const steps = { db, keys, writer, signer, horizons: config, clock, logger };
  const driver = createErasureDriver(steps);
  // Used for tokens and for resolving people; without a started watch it leases no data key, and needs none.
  const persons = createKeyClient({ peer: keys, holderId: 'privacy', clock, logger, telemetry });
  observeOutbox({ db, topic: privacyTopic, telemetry, clock, compactionLagMs: undefined });
  observeOpenErasures(telemetry, db, clock);
  observeProblems(telemetry, {
    'erasure-driver': () => driver.problem(),
    relay: () => relay.problem(),
  });
  const wakeRelay = () => relay.wake();
  const rooms = { ports, steps, writer, persons, watchers, wakeRelay, traceContext };
  return {
    publicApi: [publicRegistration(rooms)],
    internalApi: internalRegistrations(rooms),
    start: async () => {
      await migrateToLatest(db, migrations);
      await relay.start();
      driver.start();
    },
    stop: async () => {
      await driver.stop();
      await relay.stop();
      await persons.stop();
    },
    problem: () => driver.problem() ?? relay.problem(),
  };
}

function publicRegistration(rooms: Rooms): ServiceRegistration {
  const { ports, steps, writer, persons, watchers } = rooms;
  const { db, peers, clock, randomBytes, logger } = ports;
  return registerService(PrivacyServiceService, {
    registerTenant: registerTenant({
      db,
      keys: peers('keys'),
      clock,
      randomBytes,
      onEnqueued: rooms.wakeRelay,
      ...(rooms.traceContext === undefined ? {} : { traceContext: rooms.traceContext }),
    }),
    listTenants: listTenants(db),
    requestErasure: requestErasure({
      db,
      peers,
      persons,
      writer,
      advance: (erasureId, signal) => advanceErasure(steps, erasureId, signal),
      clock,
      randomBytes,
      logger,
    }),
    getErasure: getErasure(db),
    watchErasure: watchErasure(db, watchers),
    listErasures: listErasures(db),
    getCertificate: getCertificate(db),
    getSigningKey: getSigningKey(steps.signer),
  });
}

function internalRegistrations({ ports, writer }: Rooms): ServiceRegistration[] {
  const { db, clock } = ports;
  return [
    registerService(ReceiptServiceService, { recordReceipt: recordReceipt(db, writer) }),
    registerService(SequenceServiceService, sequenceServiceHandlers(db, privacyTopic, clock)),
  ];
}
