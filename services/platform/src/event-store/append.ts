import type { Kysely } from 'kysely';
import { DatabaseError, uniqueViolation } from '../database/database-error.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId } from '../ids/ids.ts';
import type { HeldLease, KeyClient, OpenRequest } from '../key-client/port.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import { appendInTransaction } from './append-transaction.ts';
import { type AppendSize, createBackPressure, type PendingLimits } from './back-pressure.ts';
import type { AppendAnswer, AppendItem, EventFamily } from './family.ts';
import { LeaseAgain } from './lease-again.ts';
import { leaseBatch } from './leasing.ts';
import type { EventStoreSchema } from './tables.ts';

export interface EventStoreOptions extends PendingLimits {
  /**
   * A ticket that was opened up to this long after its owner's cut-off still belongs to the erased incarnation: the
   * clocks of help desks and of Lethe differ. Default 60 s.
   */
  readonly fenceSkewMs: number;
  /** Encoded record, so that the log takes it. Default 900 KiB. */
  readonly recordBytesMax: number;
}

export const defaultEventStoreOptions: EventStoreOptions = {
  fenceSkewMs: 60_000,
  recordBytesMax: 900 * 1024,
  // What the relay moves in about a minute: a caller that is refused finds room after some retries.
  pendingRowsMax: 50_000,
  // 50,000 rows of 1 KB take 70 MB; rows of the largest size would take 45 GB.
  pendingBytesMax: 256 * 1024 * 1024,
  // Longer than a rolling restart of Kafka, which nobody needs to notice; then events that nobody can see and erasures
  // that cannot be completed have waited long enough.
  pendingAgeMaxMs: 15 * 60 * 1000,
};

export interface EventStorePorts {
  readonly db: Kysely<EventStoreSchema>;
  readonly keys: KeyClient;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Of the family's topic now; a stream keeps that of its first event. */
  readonly partitions: number;
  /** Called after a commit that enqueued something: wake the relay. */
  readonly onEnqueued: () => void;
  /** Of the append that runs, for its records; none when absent. */
  readonly traceContext?: () => Buffer | undefined;
}

export interface EventStore<Command> {
  /**
   * Appends 1 to 1,000 items and returns after the commit, an answer per item in order. Throws TOO_MUCH_PENDING,
   * KEYS_UNAVAILABLE, TENANT_UNKNOWN, STORE_UNAVAILABLE: then nothing was stored.
   */
  append(
    tenantId: TenantId,
    items: readonly AppendItem<Command>[],
  ): Promise<readonly AppendAnswer[]>;
}

/** How often a batch is leased and run before it gives up with the last error. */
const attemptsMax = 6;

export function createEventStore<Command, State>(
  family: EventFamily<Command, State>,
  ports: EventStorePorts,
  options: EventStoreOptions = defaultEventStoreOptions,
): EventStore<Command> {
  const { db, keys, clock, randomBytes, partitions } = ports;
  const backPressure = createBackPressure(ports, family.topic, options);
  const transactionPorts = {
    partitions,
    randomBytes,
    nowMs: () => clock.nowMs(),
    ...(ports.traceContext === undefined ? {} : { traceContext: ports.traceContext }),
  };

  const runOnce = async (
    tenantId: TenantId,
    items: readonly AppendItem<Command>[],
    stateLeases: ReadonlyMap<string, HeldLease>,
  ): Promise<readonly AppendAnswer[]> => {
    const tokens = await keys.tokens(tenantId);
    const { fenceSkewMs } = options;
    const leases = await leaseBatch(keys, { family, tenantId, items, fenceSkewMs });
    const batch = { family, tenantId, items, tokens, leases, stateLeases, limits: options };
    return db.transaction().execute((tx) => appendInTransaction(tx, batch, transactionPorts));
  };

  const runUntilDone = async (
    tenantId: TenantId,
    items: readonly AppendItem<Command>[],
  ): Promise<readonly AppendAnswer[]> => {
    const stateLeases = new Map<string, HeldLease>();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answers = await runOnce(tenantId, items, stateLeases);
        if (answers.some((answer) => answer.outcome === 'accepted')) ports.onEnqueued();
        return answers;
      } catch (error) {
        if (attempt === attemptsMax || !mayRunAgain(error)) throw outward(error);
        if (error instanceof LeaseAgain) {
          for (const scope of error.stale) keys.evict(tenantId, scope);
          await leaseStates(keys, tenantId, error.toOpen, stateLeases);
        }
      }
    }
  };

  return {
    append: async (tenantId, items) => {
      if (items.length === 0) return [];
      const room = await backPressure.enter(sizeOf(items));
      try {
        return await runUntilDone(tenantId, items);
      } finally {
        room.leave();
      }
    },
  };
}

/** Bytes that sealing adds to an event: header, boxes, contributors. */
const sealedOverheadBytes = 500;

function sizeOf(items: readonly AppendItem<unknown>[]): AppendSize {
  const bytes = items.reduce((sum, { eventBytes }) => sum + eventBytes.length, 0);
  return { events: items.length, bytes: bytes + items.length * sealedOverheadBytes };
}

// Rolled back: nothing has happened, and fresh leases or a fresh look at the index will do.
function mayRunAgain(error: unknown): boolean {
  if (error instanceof LeaseAgain) return true;
  if (error instanceof DatabaseError) return error.sqlState === uniqueViolation;
  if (!(error instanceof ServiceError)) return false;
  if (error.reason === 'LEASE_EXPIRED' || error.reason === 'LEASE_CLAIM_EXHAUSTED') return true;
  // Class 40: the server chose this transaction to break a deadlock or a serialization conflict.
  return error.cause instanceof DatabaseError && error.cause.sqlState.startsWith('40');
}

function outward(error: unknown): unknown {
  if (!(error instanceof LeaseAgain)) return error;
  return new ServiceError('LEASE_EXPIRED', 'fences rose faster than keys could be leased', {
    cause: error,
  });
}

/** Leases keys of older generations, by key id in hex. */
export async function leaseStates(
  keys: KeyClient,
  tenantId: TenantId,
  requests: readonly OpenRequest[],
  into: Map<string, HeldLease>,
): Promise<void> {
  if (requests.length === 0) return;
  const leases = await keys.leaseForOpen(tenantId, requests);
  for (const [index, request] of requests.entries()) {
    const lease = leases[index];
    const keyId = Buffer.from(request.keyId).toString('hex');
    if (lease?.granted === true) into.set(keyId, lease);
    // Erased meanwhile: the next attempt's lease of the stream says so. Anything else is lost data.
    else if (lease?.status !== 'erased') {
      throw new ServiceError('KEY_UNKNOWN', `no data key ${keyId} for the state of a stream`);
    } else keys.evict(tenantId, request.scope);
  }
}
