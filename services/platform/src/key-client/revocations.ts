import {
  KeyServiceService,
  type WatchRevocationsResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { Peer } from '../grpc/handler.ts';
import { isTenantId, type Scope, type TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import { createBackoff } from '../retry/backoff.ts';
import { failureFields } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { parseScope } from '../sealing/scope-wire.ts';
import { keysTimeoutMs } from './keys-calls.ts';

export interface RevocationListener {
  /** Registered, for the first time or again: what was revoked in between is not known. */
  registered(): void;
  /** The watch broke: keys counts on the TTL alone until it stands again. */
  lost(): void;
  /** Evict before the acknowledgement goes out. */
  revoked(tenantId: TenantId, scopes: readonly { scope: Scope; upToIncarnation: number }[]): void;
}

export interface RevocationWatch {
  /** Resolves once registered for the first time. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Keeps this holder registered with keys: watches, evicts through the listener, acknowledges, reconnects. */
export function createRevocationWatch(options: {
  readonly peer: Peer;
  readonly holderId: string;
  readonly listener: RevocationListener;
  readonly clock: Clock;
  readonly logger: Logger;
}): RevocationWatch {
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  let loop: Promise<void> | undefined;
  const watchUntilStopped = async () => {
    const backoff = createBackoff(50, 5_000);
    while (!stopping.signal.aborted) {
      try {
        await watchOnce(options, stopping.signal, () => {
          backoff.reset();
          first.resolve();
        });
      } catch (error) {
        if (!stopping.signal.aborted) logLost(options.logger, error);
      }
      options.listener.lost();
      await sleepQuietly(options.clock, backoff.next(), stopping.signal);
    }
  };
  return {
    start: async () => {
      loop ??= watchUntilStopped();
      await first.promise;
    },
    stop: async () => {
      stopping.abort();
      first.reject(new ServiceError('SHUTTING_DOWN'));
      first.promise.catch(() => undefined);
      await loop;
    },
  };
}

async function watchOnce(
  { peer, holderId, listener }: { peer: Peer; holderId: string; listener: RevocationListener },
  signal: AbortSignal,
  onRegistered: () => void,
): Promise<void> {
  const { watchRevocations, acknowledgeRevocation } = KeyServiceService;
  for await (const message of peer.serverStream(watchRevocations, { holderId }, { signal })) {
    const { revocationId } = message;
    if (revocationId === 0n) {
      listener.registered();
      onRegistered();
      continue;
    }
    listener.revoked(...decodeRevocation(message));
    // Unacknowledged, it would end with the TTL: keys then calls the scopes unreadable some seconds later.
    const options = { signal, timeoutMs: keysTimeoutMs };
    await peer.unary(acknowledgeRevocation, { holderId, revocationId }, options);
  }
}

function decodeRevocation(
  message: WatchRevocationsResponse,
): [TenantId, { scope: Scope; upToIncarnation: number }[]] {
  if (!isTenantId(message.tenantId)) throw new ServiceError('INTERNAL_DEFECT');
  const scopes = message.scopes.map(({ kind, token, incarnation }) => {
    const scope = parseScope(kind, token);
    if (scope === undefined) throw new ServiceError('INTERNAL_DEFECT');
    return { scope, upToIncarnation: incarnation };
  });
  return [message.tenantId, scopes];
}

function logLost(logger: Logger, error: unknown): void {
  logger.warn(
    { component: 'key-client', ...failureFields(error) },
    'the watch for revocations broke; reconnecting',
  );
}
