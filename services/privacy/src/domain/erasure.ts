import type { ServiceName } from '@lethe/proto/access.ts';
import type { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';

/** A person or ticket whose keys were destroyed, up to an incarnation. */
export interface FencedScope {
  readonly kind: 'person' | 'ticket';
  readonly token: Token;
  readonly incarnation: number;
  readonly cutOffMs: number;
}

/** What `keys` answered, and who owes a receipt from then on. */
export interface Fence {
  readonly scopes: readonly FencedScope[];
  readonly keysDestroyed: number;
  readonly fencedAtMs: number;
  /** Frozen when the fence is recorded: a later consumer of privacy.v1 changes no erasure that is under way. */
  readonly obliged: readonly ServiceName[];
}

/** One service's statement of what the erasure did there. */
export interface Receipt {
  readonly service: ServiceName;
  readonly recordsTombstoned: number;
  readonly rowsDeleted: number;
  readonly boxesUnreadable: number;
  readonly ledgerComplete: boolean;
  readonly finishedAtMs: number;
}

export interface Completion {
  readonly purgedAtMs: number;
  readonly physicallyGoneByMs: number;
  readonly certificateJws: string;
}

export interface Erasure {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  readonly ground: ErasureGround;
  /** Canonical, ascending. */
  readonly personTokens: readonly Token[];
  readonly requestedAtMs: number;
  readonly fence: Fence | undefined;
  /** Clock one: from when on nobody could read it. */
  readonly unreadableAtMs: number | undefined;
  readonly receipts: readonly Receipt[];
  readonly completion: Completion | undefined;
}

export type RequestedErasure = Pick<
  Erasure,
  'tenantId' | 'erasureId' | 'ground' | 'personTokens' | 'requestedAtMs'
>;

export type ErasureCommand =
  | { readonly type: 'request'; readonly request: RequestedErasure }
  | { readonly type: 'recordFence'; readonly fence: Fence }
  | { readonly type: 'recordUnreadable'; readonly unreadableAtMs: number }
  | { readonly type: 'recordReceipt'; readonly receipt: Receipt }
  | { readonly type: 'complete'; readonly completion: Completion };

export type ErasureChange =
  | { readonly type: 'requested'; readonly request: RequestedErasure }
  | { readonly type: 'fenced'; readonly fence: Fence }
  | { readonly type: 'becameUnreadable'; readonly unreadableAtMs: number }
  | { readonly type: 'receiptRecorded'; readonly receipt: Receipt }
  | { readonly type: 'completed'; readonly completion: Completion };

/** What has to be done next; a crash loses nothing, because it is read off the committed state. */
export type ErasureStep = 'fence' | 'ask-unreadable' | 'wait-for-receipts' | 'complete' | 'done';

export function nextStep(erasure: Erasure): ErasureStep {
  if (erasure.fence === undefined) return 'fence';
  if (erasure.unreadableAtMs === undefined) return 'ask-unreadable';
  if (erasure.completion !== undefined) return 'done';
  return missingReceipts(erasure).length === 0 ? 'complete' : 'wait-for-receipts';
}

/** Obliged services whose receipt is not in; empty before the fence, when nobody is obliged yet. */
export function missingReceipts(erasure: Erasure): readonly ServiceName[] {
  const given = new Set(erasure.receipts.map(({ service }) => service));
  return (erasure.fence?.obliged ?? []).filter((service) => !given.has(service));
}

/**
 * What a command changes; nothing when it repeats what is already known, so that every step may be repeated after a
 * crash. A command that comes before its time is a defect of the caller and throws.
 */
export function decide(command: ErasureCommand, state: Erasure | undefined): ErasureChange[] {
  if (command.type === 'request') {
    return state === undefined ? [{ type: 'requested', request: command.request }] : [];
  }
  if (state === undefined) throw new RangeError(`${command.type} needs an erasure`);
  switch (command.type) {
    case 'recordFence':
      return decideFence(command.fence, state);
    case 'recordUnreadable':
      return decideUnreadable(command.unreadableAtMs, state);
    case 'recordReceipt':
      return isReceiptWanted(command.receipt, state)
        ? [{ type: 'receiptRecorded', receipt: command.receipt }]
        : [];
    case 'complete':
      return decideCompletion(command.completion, state);
  }
}

/** The clock of `keys` may be behind ours; of two moments the later one is claimed. */
function decideFence(fence: Fence, state: Erasure): ErasureChange[] {
  if (state.fence !== undefined) return [];
  const fencedAtMs = Math.max(fence.fencedAtMs, state.requestedAtMs);
  return [{ type: 'fenced', fence: { ...fence, fencedAtMs } }];
}

function decideUnreadable(claimedAtMs: number, state: Erasure): ErasureChange[] {
  if (state.fence === undefined) throw new RangeError('unreadable before the fence');
  if (state.unreadableAtMs !== undefined) return [];
  const unreadableAtMs = Math.max(claimedAtMs, state.fence.fencedAtMs);
  return [{ type: 'becameUnreadable', unreadableAtMs }];
}

/**
 * The first receipt of a service stands. Before the fence is recorded any is kept, as `keys` and fast consumers may be
 * ahead of this state; afterwards only those of obliged services: one that was deployed later owes nothing.
 */
function isReceiptWanted({ service }: Receipt, state: Erasure): boolean {
  if (state.completion !== undefined) return false;
  if (state.receipts.some((receipt) => receipt.service === service)) return false;
  return state.fence === undefined || state.fence.obliged.includes(service);
}

function decideCompletion(completion: Completion, state: Erasure): ErasureChange[] {
  const step = nextStep(state);
  if (step === 'done') return [];
  if (step !== 'complete') throw new RangeError(`completed although the next step is ${step}`);
  return [{ type: 'completed', completion }];
}

export function evolve(state: Erasure | undefined, change: ErasureChange): Erasure {
  if (change.type === 'requested') {
    return {
      ...change.request,
      fence: undefined,
      unreadableAtMs: undefined,
      receipts: [],
      completion: undefined,
    };
  }
  if (state === undefined) throw new RangeError(`${change.type} needs an erasure`);
  switch (change.type) {
    case 'fenced':
      return { ...state, fence: change.fence };
    case 'becameUnreadable':
      return { ...state, unreadableAtMs: change.unreadableAtMs };
    case 'receiptRecorded':
      return { ...state, receipts: [...state.receipts, change.receipt] };
    case 'completed':
      return { ...state, completion: change.completion };
  }
}

/** How long bytes may outlive the purge. */
export interface Horizons {
  /** Until compaction has removed tombstoned records from every log segment, milliseconds. */
  readonly compactionBoundMs: number;
  /** Until the last backup with the bytes is gone, milliseconds. */
  readonly backupHorizonMs: number;
}

/**
 * Clocks two and three of an erasure that can be completed. Purged is when the last obliged service was done, by its
 * own clock but not later than now; a backup taken just before compaction lives for the whole backup horizon more.
 */
export function purgeClocks(
  erasure: Erasure,
  horizons: Horizons,
  nowMs: number,
): Pick<Completion, 'purgedAtMs' | 'physicallyGoneByMs'> {
  const finished = erasure.receipts.map(({ finishedAtMs }) => finishedAtMs);
  const purgedAtMs = Math.min(nowMs, Math.max(erasure.requestedAtMs, ...finished));
  const { compactionBoundMs, backupHorizonMs } = horizons;
  return { purgedAtMs, physicallyGoneByMs: purgedAtMs + compactionBoundMs + backupHorizonMs };
}
