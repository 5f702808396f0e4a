import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ErasureId, TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { Revocation, RevokedScope } from './revocation.ts';
import { createRevocationQueue, type RevocationQueue } from './revocation-queue.ts';
import { createWaitingErasures } from './waiting-erasures.ts';

/** A process that may have data keys in memory. */
export interface HolderName {
  readonly service: ServiceName;
  readonly holderId: string;
}

/** Where the unreadable clock of an erasure stands. */
export type Unreadable =
  | { readonly kind: 'since'; readonly atMs: number }
  | { readonly kind: 'waiting'; readonly holders: number };

export interface ErasureToRevoke {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  readonly scopes: readonly RevokedScope[];
}

export interface Holders {
  /**
   * Registers the holder and pushes what it has not acknowledged yet: a watch that broke may have lost it. Ends when
   * the signal fires or the holder registers again. Throws SHUTTING_DOWN after `close`.
   */
  watch(holder: HolderName, signal: AbortSignal): AsyncIterable<Revocation>;
  /** Before each lease is issued: it may live until a TTL from now. Throws HOLDER_UNREGISTERED. */
  noteLease(holder: HolderName): void;
  acknowledge(holder: HolderName, revocationId: bigint): void;
  /** After the fence is committed: pushes to all registered holders. A repeat changes nothing. */
  revoke(erasure: ErasureToRevoke): void;
  /** Undefined for an erasure that this process has not revoked. */
  unreadable(erasureId: ErasureId): Unreadable | undefined;
  /** The clock of this erasure has been stored: forgets it. */
  settled(erasureId: ErasureId): void;
  /** Ends every watch for good, so that holders look for another process. */
  close(): void;
}

export interface HoldersOptions {
  readonly clock: Clock;
  /** How long a lease lives. */
  readonly leaseTtlMs: number;
  /**
   * How long leases of a former process of `keys` may live from now on: the longest TTL there is, or 0 when no holder
   * of it can be alive.
   */
  readonly formerLeasesMs: number;
}

interface Holder {
  readonly queue: RevocationQueue<Revocation>;
  /** Monotonic. */
  leaseEndsMs: number;
}

/** Stands for every holder of a former process; no service is named so. */
const formerHolders = 'former';

/**
 * Who may have keys in memory, and what was pushed to them. It lives in this process alone: there is one `keys` process
 * per store, and what a former one leased is waited for by its TTL.
 */
export function createHolders(options: HoldersOptions): Holders {
  const { clock, leaseTtlMs } = options;
  const nowMs = (): number => clock.monotonicMs();
  const formerEndMs = nowMs() + options.formerLeasesMs;
  const holders = new Map<string, Holder>();
  const waiting = createWaitingErasures(nowMs);
  let lastRevocationId = 0n;
  let isClosed = false;

  return {
    watch: (holder, signal) => {
      if (isClosed) throw new ServiceError('SHUTTING_DOWN');
      const name = nameOf(holder);
      const before = holders.get(name);
      before?.queue.close();
      const queue = createRevocationQueue<Revocation>(signal);
      holders.set(name, { queue, leaseEndsMs: before?.leaseEndsMs ?? 0 });
      queue.push({ revocationId: 0n, tenantId: '', scopes: [] });
      for (const revocation of waiting.owedBy(name)) queue.push(revocation);
      return queue;
    },
    noteLease: (holder) => {
      const found = holders.get(nameOf(holder));
      if (found === undefined || found.queue.isClosed()) throw unregistered(holder);
      found.leaseEndsMs = nowMs() + leaseTtlMs;
    },
    acknowledge: (holder, revocationId) => {
      waiting.release(nameOf(holder), revocationId, nowMs());
    },
    revoke: ({ tenantId, erasureId, scopes }) => {
      if (waiting.has(erasureId)) return;
      lastRevocationId += 1n;
      const revocation = { revocationId: lastRevocationId, tenantId, scopes };
      forgetEnded(holders, nowMs());
      const ends = new Map([...holders].map(([name, { leaseEndsMs }]) => [name, leaseEndsMs]));
      waiting.begin(erasureId, revocation, ends.set(formerHolders, formerEndMs));
      for (const { queue } of holders.values()) queue.push(revocation);
    },
    unreadable: (erasureId) => {
      const state = waiting.stateOf(erasureId, nowMs());
      if (state === undefined) return undefined;
      if (state.holders > 0) return { kind: 'waiting', holders: state.holders };
      return { kind: 'since', atMs: Math.ceil(clock.nowMs() - (nowMs() - state.endedMs)) };
    },
    settled: (erasureId) => waiting.remove(erasureId),
    close: () => {
      isClosed = true;
      for (const { queue } of holders.values()) queue.close();
    },
  };
}

function forgetEnded(holders: Map<string, Holder>, nowMs: number): void {
  for (const [name, { queue, leaseEndsMs }] of holders) {
    if (queue.isClosed() && leaseEndsMs <= nowMs) holders.delete(name);
  }
}

function nameOf({ service, holderId }: HolderName): string {
  return `${service}/${holderId}`;
}

function unregistered({ service, holderId }: HolderName): ServiceError {
  return new ServiceError(
    'HOLDER_UNREGISTERED',
    `Holder ${holderId} of ${service} is not watching revocations.`,
  );
}
