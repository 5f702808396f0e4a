import {
  type Erasure as ErasureMessage,
  ErasureState,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Erasure } from '../domain/erasure.ts';
import { receiptMessageOf } from '../receipt-message.ts';

function stateOf(erasure: Erasure): ErasureState {
  if (erasure.completion !== undefined) return ErasureState.ERASURE_STATE_COMPLETED;
  if (erasure.unreadableAtMs !== undefined) return ErasureState.ERASURE_STATE_UNREADABLE;
  if (erasure.fence !== undefined) return ErasureState.ERASURE_STATE_FENCED;
  return ErasureState.ERASURE_STATE_REQUESTED;
}

const dateOf = (timeMs: number | undefined): Date | undefined =>
  timeMs === undefined ? undefined : new Date(timeMs);

/** An erasure as the tenant sees it. */
export function erasureMessageOf(erasure: Erasure): ErasureMessage {
  const { fence, completion } = erasure;
  const tickets = fence?.scopes.filter(({ kind }) => kind === 'ticket') ?? [];
  return {
    erasureId: erasure.erasureId,
    state: stateOf(erasure),
    ground: erasure.ground,
    personTokens: [...erasure.personTokens],
    tickets: BigInt(tickets.length),
    keysDestroyed: BigInt(fence?.keysDestroyed ?? 0),
    requestedAt: new Date(erasure.requestedAtMs),
    fencedAt: dateOf(fence?.fencedAtMs),
    unreadableAt: dateOf(erasure.unreadableAtMs),
    purgedAt: dateOf(completion?.purgedAtMs),
    physicallyGoneBy: dateOf(completion?.physicallyGoneByMs),
    obligedServices: [...(fence?.obliged ?? [])],
    receipts: erasure.receipts
      .toSorted((left, right) => (left.service < right.service ? -1 : 1))
      .map(receiptMessageOf),
  };
}
