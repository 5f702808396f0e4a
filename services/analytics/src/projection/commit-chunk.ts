import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { claimsOf, decide } from '../domain/accept.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { fold } from '../domain/fold.ts';
import { encodeLedgerRows, type LedgerInsert } from '../domain/ledger-rows.ts';
import {
  type AnalyticsDatabase,
  type AnalyticsTransaction,
  type CoveredRange,
  insertManifest,
  lockCounters,
  storeCounters,
} from '../store.ts';

/** A chunk that was read, opened and counted, and not yet decided. */
export interface CountedChunk {
  readonly ranges: readonly CoveredRange[];
  /** In log order: range by range. */
  readonly events: readonly CountedEvent[];
}

/** What is left to do for a chunk once it is committed. */
export interface CommittedChunk {
  readonly manifestId: string;
  readonly inserts: readonly LedgerInsert[];
}

export interface CommitPorts {
  readonly db: AnalyticsDatabase;
  readonly clock: Clock;
  readonly createManifestId: () => string;
  /** Compare-and-sets the checkpoints of all the chunk's partitions; throws CHECKPOINT_MOVED. */
  readonly advanceCheckpoints: (tx: AnalyticsTransaction) => Promise<void>;
}

/**
 * One transaction: checkpoints, counters, manifest with its rows. Nothing in it is awaited but SQL; folding and encoding
 * between its statements are synchronous.
 * - Dies before the commit: nothing happened; the chunk is polled again, perhaps cut differently, and decided anew.
 * - Dies after it: the rows lie in the manifest and are inserted at the next start; nothing is folded again.
 * - Another owner was faster with any of the partitions: the compare-and-set fails and nothing of the chunk stays.
 */
export async function commitChunk(
  { db, clock, createManifestId, advanceCheckpoints }: CommitPorts,
  chunk: CountedChunk,
): Promise<CommittedChunk> {
  const claims = claimsOf(chunk.events);
  const place = { manifestId: createManifestId(), committedAtMs: clock.nowMs() };
  return db.transaction().execute(async (tx) => {
    await advanceCheckpoints(tx);
    return storeChunk(tx, chunk, claims, place);
  });
}

/** Within a transaction: counters, manifest and its rows. Nothing is awaited but SQL. */
export async function storeChunk(
  tx: AnalyticsTransaction,
  chunk: CountedChunk,
  claims: ReturnType<typeof claimsOf>,
  { manifestId, committedAtMs }: { readonly manifestId: string; readonly committedAtMs: number },
): Promise<CommittedChunk> {
  const held = await lockCounters(tx, claims.counters);
  const { decisions, changed } = decide(claims, held);
  await storeCounters(tx, claims.counters, changed);
  const inserts = encodeLedgerRows(fold(chunk.events, decisions), manifestId);
  const { ranges } = chunk;
  await insertManifest(tx, { manifestId, committedAtMs, ranges, decisions, inserts });
  return { manifestId, inserts };
}
