import type { EventId, TenantId, Token } from '../ids/ids.ts';
import type { HeldLease, LeaseRefusal, SealLease, TokenMaker } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import type { OutboxRow } from '../outbox/port.ts';
import type { IndexedEvent, IndexRow } from './event-index.ts';
import type { AppendAnswer, AppendItem, EventFamily } from './family.ts';
import type { Fences } from './fences.ts';
import type { BatchLeases } from './leasing.ts';
import type { PersonBoxes, RecordRow } from './read-model.ts';
import type { StreamKey, StreamRow } from './streams.ts';

/** A batch with everything that was leased for it before its transaction. */
export interface LeasedBatch<Command, State> {
  readonly family: EventFamily<Command, State>;
  readonly tenantId: TenantId;
  readonly items: readonly AppendItem<Command>[];
  readonly tokens: TokenMaker;
  readonly leases: BatchLeases;
  /** Keys of older generations, by key id in hex. */
  readonly stateLeases: ReadonlyMap<string, HeldLease>;
  readonly limits: BatchLimits;
}

export interface BatchLimits {
  /** A ticket opened up to this long after its owner's cut-off still counts as the erased incarnation's. */
  readonly fenceSkewMs: number;
  /** An encoded record is at most this long. */
  readonly recordBytesMax: number;
}

/** What the transaction read, under its locks, before it decides. */
export interface LoadedBatch {
  readonly fences: Fences;
  /** By `streamText`. */
  readonly streams: ReadonlyMap<string, StreamRow>;
  /** Record ids of the batch's own events, by event id. */
  readonly recordIds: ReadonlyMap<EventId, EventId>;
  /** By record id. */
  readonly indexed: ReadonlyMap<string, IndexedEvent>;
  /** Read after the transaction began. */
  readonly recordedAtMs: number;
  readonly randomBytes: RandomBytes;
  /** Of this append, when its trace is sampled. */
  readonly traceContext: Buffer | undefined;
}

/** What the transaction is to write. */
export interface BatchOutcome {
  /** One per item. */
  readonly answers: readonly AppendAnswer[];
  readonly indexRows: readonly IndexRow[];
  readonly outboxRows: readonly OutboxRow[];
  readonly recordRows: readonly RecordRow[];
  readonly personBoxes: readonly PersonBoxes[];
  /** As they stand now, states sealed. */
  readonly movedStreams: readonly StreamRow[];
}

/** The stream that an item belongs to under a granted lease. */
export function streamKeyOf(item: { readonly streamToken: Token }, lease: SealLease): StreamKey {
  const token = lease.scope.kind === 'facts' ? item.streamToken : lease.scope.token;
  return { token, incarnation: lease.incarnation };
}

/** The lease of an item's stream, or why there is none. */
export function streamLeaseOf<Command, State>(
  batch: LeasedBatch<Command, State>,
  item: AppendItem<Command>,
): SealLease | LeaseRefusal {
  const lease = batch.leases.streams.get(item.streamToken);
  if (lease === undefined) throw new RangeError('no lease was asked for the stream of an item');
  return lease;
}
