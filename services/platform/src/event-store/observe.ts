import type { Transaction } from 'kysely';
import { lockFencesShared } from '../database/fence-lock.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId } from '../ids/ids.ts';
import type { HeldLease, OpenRequest } from '../key-client/port.ts';
import {
  defaultEventStoreOptions,
  type EventStoreOptions,
  type EventStorePorts,
  leaseStates,
} from './append.ts';
import { appendInTransaction } from './append-transaction.ts';
import type { AppendItem, EventFamily } from './family.ts';
import { LeaseAgain } from './lease-again.ts';
import { leaseBatch } from './leasing.ts';
import type { EventStoreSchema } from './tables.ts';

/** Observations of one tenant under the keys that they need. */
export interface LeasedObservations {
  readonly tenantId: TenantId;
  readonly run: (tx: Transaction<EventStoreSchema>) => Promise<void>;
}

/** Brings what other services' events say into the states of streams, from within a consumer's transaction. */
export interface Observer<Command> {
  /** Before the transaction. */
  lease(tenantId: TenantId, items: readonly AppendItem<Command>[]): Promise<LeasedObservations>;
  /**
   * Inside it, after the checkpoint's compare-and-set. Throws LEASE_EXPIRED when the keys do not do any more: the
   * consumer rolls back and prepares the batch anew.
   */
  apply(tx: Transaction<EventStoreSchema>, leased: readonly LeasedObservations[]): Promise<void>;
}

export function createObserver<Command, State>(
  family: EventFamily<Command, State>,
  ports: EventStorePorts,
  options: EventStoreOptions = defaultEventStoreOptions,
): Observer<Command> {
  const { keys, clock, randomBytes, partitions } = ports;
  const transactionPorts = { partitions, randomBytes, nowMs: () => clock.nowMs() };
  // States under older keys that the attempt before met: it failed, and the next one leases them.
  const wanted = new Map<TenantId, readonly OpenRequest[]>();
  const runAgainLater = (tenantId: TenantId, error: unknown): unknown => {
    if (!(error instanceof LeaseAgain)) return error;
    for (const scope of error.stale) keys.evict(tenantId, scope);
    wanted.set(tenantId, error.toOpen);
    return new ServiceError('LEASE_EXPIRED', 'observations need other leases', { cause: error });
  };
  return {
    lease: async (tenantId, items) => {
      const stateLeases = new Map<string, HeldLease>();
      await leaseStates(keys, tenantId, wanted.get(tenantId) ?? [], stateLeases);
      wanted.delete(tenantId);
      const tokens = await keys.tokens(tenantId);
      const { fenceSkewMs } = options;
      const leases = await leaseBatch(keys, { family, tenantId, items, fenceSkewMs });
      const batch = { family, tenantId, items, tokens, leases, stateLeases, limits: options };
      const run = async (tx: Transaction<EventStoreSchema>): Promise<void> => {
        try {
          await appendInTransaction(tx, batch, transactionPorts);
        } catch (error) {
          throw runAgainLater(tenantId, error);
        }
      };
      return { tenantId, run };
    },
    apply: async (tx, leased) => {
      // All locks at once and sorted; each batch takes its own again.
      const tenantIds = leased.map(({ tenantId }) => tenantId);
      await lockFencesShared(tx, family.service, tenantIds);
      for (const { run } of leased) await run(tx);
    },
  };
}
