import type { Kysely } from 'kysely';
import { type Consumer, createConsumer } from '@lethe/platform/consumer/consumer.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { observeProblems } from '@lethe/platform/lifecycle/observe-service.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { createReceiptSender } from '@lethe/platform/receipts/receipt-sender.ts';
import { noTelemetry, type Telemetry } from '@lethe/platform/telemetry/port.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { topicsReadBy } from '@lethe/proto/topics.ts';
import { createCatchUp, openWhenCaughtUp } from './catch-up.ts';
import type { KeysConfig } from './config.ts';
import { createPrivacyEffect } from './consumer.ts';
import { leaseTtlMaxMs } from './domain/generations.ts';
import { createTenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import { createHolders } from './holders.ts';
import { measuredKms } from './kms/measured-kms.ts';
import type { Kms } from './kms/port.ts';
import { migrations } from './migrations/migrations.ts';
import { createMonthClosing } from './month-closing.ts';
import { observeReadableErasures } from './observe-erasures.ts';
import { acknowledgeRevocationHandler } from './rpc/acknowledge-revocation.ts';
import type { KeysContext } from './rpc/context.ts';
import { contributorsHandler } from './rpc/contributors.ts';
import { createTenantHandler } from './rpc/create-tenant.ts';
import { fenceHandler } from './rpc/fence.ts';
import { leaseContributorKeyHandler } from './rpc/lease-contributor-key.ts';
import { leaseTokenKeyHandler } from './rpc/lease-token-key.ts';
import { leaseHandler } from './rpc/lease.ts';
import { previewFenceHandler } from './rpc/preview-fence.ts';
import { resolvePersonsHandler } from './rpc/resolve-persons.ts';
import { unreadableStatusHandler } from './rpc/unreadable-status.ts';
import { watchRevocationsHandler } from './rpc/watch-revocations.ts';
import type { KeysSchema } from './store/schema.ts';
import { createUnreadableClock } from './unreadable-clock.ts';

export interface KeysPorts {
  readonly db: Kysely<KeysSchema>;
  readonly eventLog: EventLog;
  readonly kms: Kms;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  /** Default: none. */
  readonly telemetry?: Telemetry;
}

/**
 * Composes the keys service; nothing runs before `start`. It answers at once after it, but leases and fences only once
 * it has read privacy.v1 to its end (KEYS_CATCHING_UP until then).
 */
export function createKeys(config: KeysConfig, ports: KeysPorts): Service {
  const { db, clock, logger } = ports;
  const stopping = new AbortController();
  const context = createContext(config, ports, stopping.signal);
  const { catchUp, unreadableClock, holders } = context;
  const monthClosing = createMonthClosing({ db, clock, logger, monthGraceMs: config.monthGraceMs });
  const receipts = createReceiptSender({ db, peer: ports.peers('privacy'), clock, logger });
  const consumer = createPrivacyConsumer(context, ports, () => {
    unreadableClock.wake();
    receipts.wake();
  });
  const telemetry = ports.telemetry ?? noTelemetry;
  observeReadableErasures(telemetry, db, clock);
  observeProblems(telemetry, {
    consumer: () => consumer.problem(),
    'unreadable-clock': () => unreadableClock.problem(),
    'month-closing': () => monthClosing.problem(),
    receipts: () => receipts.problem(),
  });
  const caughtUp = () => consumer.caughtUp();
  return {
    publicApi: [],
    internalApi: [registerService(KeyServiceService, handlersOf(context))],
    start: async () => {
      await migrateToLatest(db, migrations);
      // A keyring that was lost or swapped must be noticed before anything is sealed that only it could open.
      await context.keyrings.verify();
      consumer.start();
      void openWhenCaughtUp({ catchUp, caughtUp, clock, logger, signal: stopping.signal });
      for (const loop of [unreadableClock, monthClosing, receipts]) loop.start();
    },
    stop: async () => {
      stopping.abort();
      holders.close();
      await Promise.all([consumer, unreadableClock, monthClosing, receipts].map((x) => x.stop()));
    },
    problem: () =>
      consumer.problem() ??
      unreadableClock.problem() ??
      monthClosing.problem() ??
      receipts.problem(),
  };
}

function createContext(config: KeysConfig, ports: KeysPorts, stopping: AbortSignal): KeysContext {
  const { db, clock, randomBytes, logger, telemetry = noTelemetry } = ports;
  const kms = measuredKms(ports.kms, { telemetry, clock, stopping });
  const holders = createHolders({
    clock,
    leaseTtlMs: config.leaseTtlMs,
    // What a former process leased may have had another TTL: the longest one is waited for.
    formerLeasesMs: config.holdersEndWithProcess ? 0 : leaseTtlMaxMs,
  });
  return {
    db,
    keyrings: createTenantKeyrings({
      db,
      kms,
      clock,
      randomBytes,
      tenantKeyTtlMs: config.tenantKeyTtlMs,
    }),
    holders,
    unreadableClock: createUnreadableClock({ db, holders, clock, logger }),
    catchUp: createCatchUp(),
    clock,
    randomBytes,
    leaseTtlMs: config.leaseTtlMs,
    monthGraceMs: config.monthGraceMs,
  };
}

function createPrivacyConsumer(
  { keyrings }: KeysContext,
  { db, eventLog, peers, clock, logger, telemetry = noTelemetry }: KeysPorts,
  wake: () => void,
): Consumer {
  return createConsumer({
    name: 'keys',
    db,
    eventLog,
    topics: topicsReadBy('keys'),
    peers,
    effect: createPrivacyEffect({ keyrings, clock, wake }),
    clock,
    logger,
    telemetry,
  });
}

function handlersOf(context: KeysContext) {
  return {
    createTenant: createTenantHandler(context),
    lease: leaseHandler(context),
    leaseTokenKey: leaseTokenKeyHandler(context),
    leaseContributorKey: leaseContributorKeyHandler(context),
    resolvePersons: resolvePersonsHandler(context),
    watchRevocations: watchRevocationsHandler(context),
    acknowledgeRevocation: acknowledgeRevocationHandler(context),
    fence: fenceHandler(context),
    previewFence: previewFenceHandler(context),
    unreadableStatus: unreadableStatusHandler(context),
    contributors: contributorsHandler(context),
  };
}
