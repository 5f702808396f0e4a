import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Revocation } from './revocation.ts';

/** What a fenced erasure still waits for. */
export interface WaitingErasures {
  has(erasureId: ErasureId): boolean;
  /** `leaseEndsMs`: until when each holder may have keys of it in memory, by holder, monotonic. */
  begin(erasureId: ErasureId, revocation: Revocation, leaseEndsMs: Map<string, number>): void;
  /** The holder has evicted what this revocation names. */
  release(holderName: string, revocationId: bigint, nowMs: number): void;
  /** Revocations that the holder has not acknowledged. */
  owedBy(holderName: string): readonly Revocation[];
  /** Undefined for an erasure that is not here; else how many holders it waits for, and since when nobody, monotonic. */
  stateOf(
    erasureId: ErasureId,
    nowMs: number,
  ): { readonly holders: number; readonly endedMs: number } | undefined;
  remove(erasureId: ErasureId): void;
}

interface Waiting {
  readonly revocation: Revocation;
  /** A holder is removed once it has nothing any more. */
  readonly leaseEndsMs: Map<string, number>;
  /** When the last of those removed had something; at first when the revocation was pushed. */
  endedMs: number;
}

export function createWaitingErasures(nowMs: () => number): WaitingErasures {
  const waiting = new Map<ErasureId, Waiting>();
  return {
    has: (erasureId) => waiting.has(erasureId),
    begin: (erasureId, revocation, leaseEndsMs) => {
      waiting.set(erasureId, { revocation, leaseEndsMs, endedMs: nowMs() });
    },
    release: (holderName, revocationId, atMs) => {
      for (const state of waiting.values()) {
        if (state.revocation.revocationId === revocationId) release(state, holderName, atMs);
      }
    },
    owedBy: (holderName) =>
      [...waiting.values()]
        .filter(({ leaseEndsMs }) => leaseEndsMs.has(holderName))
        .map(({ revocation }) => revocation),
    stateOf: (erasureId, atMs) => {
      const state = waiting.get(erasureId);
      if (state === undefined) return undefined;
      for (const [name, endMs] of state.leaseEndsMs) {
        if (endMs <= atMs) release(state, name, endMs);
      }
      return { holders: state.leaseEndsMs.size, endedMs: state.endedMs };
    },
    remove: (erasureId) => {
      waiting.delete(erasureId);
    },
  };
}

/** Whatever comes first ends it: the acknowledgement or the end of the holder's last lease. */
function release(state: Waiting, holderName: string, atMs: number): void {
  const leaseEndsMs = state.leaseEndsMs.get(holderName);
  if (leaseEndsMs === undefined) return;
  state.leaseEndsMs.delete(holderName);
  state.endedMs = Math.max(state.endedMs, Math.min(atMs, leaseEndsMs));
}
