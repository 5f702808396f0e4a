import type { Kysely } from 'kysely';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createCatchUp } from './catch-up.ts';
import type { KeysConfig } from './config.ts';
import { leaseTtlMaxMs } from './domain/generations.ts';
import { createTenantKeyrings } from './hierarchy/tenant-keyrings.ts';
import { createHolders } from './holders.ts';
import type { Kms } from './kms/port.ts';
import { migrations } from './migrations/migrations.ts';
import { createMonthClosing } from './month-closing.ts';
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
  readonly kms: Kms;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

/** Composes the keys service; nothing runs before `start`. */
export function createKeys(config: KeysConfig, ports: KeysPorts): Service {
  const { db, kms, clock, randomBytes, logger } = ports;
  const holders = createHolders({
    clock,
    leaseTtlMs: config.leaseTtlMs,
    // What a former process leased may have had another TTL: the longest one is waited for.
    formerLeasesMs: config.holdersEndWithProcess ? 0 : leaseTtlMaxMs,
  });
  const unreadableClock = createUnreadableClock({ db, holders, clock, logger });
  const monthClosing = createMonthClosing({ db, clock, logger, monthGraceMs: config.monthGraceMs });
  const catchUp = createCatchUp();
  const context: KeysContext = {
    db,
    keyrings: createTenantKeyrings({ db, kms, clock, randomBytes }),
    holders,
    unreadableClock,
    catchUp,
    clock,
    randomBytes,
    leaseTtlMs: config.leaseTtlMs,
    monthGraceMs: config.monthGraceMs,
  };
  return {
    publicApi: [],
    internalApi: [registerService(KeyServiceService, handlersOf(context))],
    start: async () => {
      await migrateToLatest(db, migrations);
      catchUp.open();
      unreadableClock.start();
      monthClosing.start();
    },
    stop: async () => {
      holders.close();
      await Promise.all([unreadableClock.stop(), monthClosing.stop()]);
    },
    problem: () => unreadableClock.problem() ?? monthClosing.problem(),
  };
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
