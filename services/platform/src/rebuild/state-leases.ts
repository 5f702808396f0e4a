import type { EventFamily } from '../event-store/family.ts';
import { streamText } from '../event-store/streams.ts';
import type { Scope, TenantId } from '../ids/ids.ts';
import type { HeldLease, KeyClient, LeaseRefusal, SealLease } from '../key-client/port.ts';
import { openRequestOfValue } from '../sealing/value.ts';
import type { StreamToFold } from './stream-pages.ts';

export interface LeasePorts {
  readonly keys: KeyClient;
  readonly family: Pick<EventFamily<never, never>, 'streamKind'>;
}

function scopeOf({ family }: LeasePorts, { token }: StreamToFold): Scope {
  return { kind: family.streamKind, token };
}

/** Leases the keys of the live states, by stream; of one without a live state, the stream's key as it is now. */
export async function leaseStates(
  ports: LeasePorts,
  tenantId: TenantId,
  streams: readonly StreamToFold[],
): Promise<ReadonlyMap<string, HeldLease | LeaseRefusal>> {
  const stored = streams.filter(({ live }) => live?.state !== undefined);
  const requests = stored.map((stream) =>
    openRequestOfValue(
      scopeOf(ports, stream),
      stream.incarnation,
      stream.live?.state ?? Buffer.alloc(0),
    ),
  );
  const opening = requests.length === 0 ? [] : await ports.keys.leaseForOpen(tenantId, requests);
  const leases = new Map<string, HeldLease | LeaseRefusal>();
  for (const [index, stream] of stored.entries()) {
    const lease = opening[index];
    if (lease !== undefined) leases.set(streamText(stream), lease);
  }
  // Without a box, or under a key that nobody knows: the owner is asked for all the same.
  const others = streams.filter((stream) => {
    const lease = leases.get(streamText(stream));
    return lease === undefined || (!lease.granted && !isErased(lease));
  });
  const sealing = await leaseToSeal(ports, tenantId, others);
  for (const [text, lease] of sealing)
    if (lease.granted || isErased(lease)) leases.set(text, lease);
  return leases;
}

/** Leases to seal one state of each stream, by stream. */
export async function leaseToSeal(
  ports: LeasePorts,
  tenantId: TenantId,
  streams: readonly StreamToFold[],
) {
  if (streams.length === 0) return new Map<string, SealLease | LeaseRefusal>();
  const requests = streams.map((stream) => ({ scope: scopeOf(ports, stream), messages: 1 }));
  const leases = await ports.keys.leaseForSeal(tenantId, requests);
  return new Map(
    streams.flatMap((stream, index) => {
      const lease = leases[index];
      return lease === undefined ? [] : [[streamText(stream), lease] as const];
    }),
  );
}

export function isErased(lease: HeldLease | LeaseRefusal): boolean {
  return !lease.granted && lease.status === 'erased';
}
