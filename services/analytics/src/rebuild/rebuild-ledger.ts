import { withLockSession } from '@lethe/platform/database/lock-session.ts';
import { failureFields } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { Gate } from '../ledger/gate.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { AnalyticsDatabase } from '../store.ts';
import type { BrokenChunk, CopiedChunk } from './chunks.ts';
import { compareLedger, type ComparedFamily } from './compare-ledger.ts';
import {
  createFreshInserts,
  createFreshLedger,
  dropFreshLedger,
  type FreshInserts,
  strandedManifests,
} from './fresh-ledger.ts';
import { readChunks } from './read-chunks.ts';
import {
  countChunks,
  createWorkTable,
  dropWorkTable,
  heldChunks,
  markPending,
  noteChunks,
  rangelessChunks,
  readChunk,
} from './rebuild-store.ts';
import { swapLedger } from './swap-ledger.ts';
import { type ReadPart, refold, type Refolded } from './refold.ts';

export interface LedgerRebuildPorts {
  readonly db: AnalyticsDatabase;
  readonly eventLog: EventLog;
  readonly ledger: Pick<Ledger, 'insert' | 'statements'>;
  readonly keyClient: Pick<KeyClient, 'leaseForOpen'>;
  /** For the owners of the topics, asked about sequences that are not on the log. */
  readonly peers: Peers;
  readonly topics: readonly TopicName[];
  /** The projection's turns: it stands still while the tables are exchanged. */
  readonly turn: Gate;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LedgerRebuildWish {
  readonly checkOnly: boolean;
  readonly acceptDifferences: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LedgerProgress) => void;
}

export interface LedgerProgress {
  readonly phase: 'fold' | 'compare' | 'swap';
  readonly done: number;
  readonly total: number;
  readonly chunksRefolded: number;
  readonly chunksCopied: number;
}

export interface LedgerRebuildReport {
  readonly swapped: boolean;
  readonly families: readonly ComparedFamily[];
  /** Chunks of which something is wrong although all their records are there; they stop the swap always. */
  readonly broken: readonly BrokenChunk[];
  readonly recordsRead: number;
  readonly chunksRefolded: number;
  readonly chunksCopied: number;
  /** The first of them, at most 1,000. */
  readonly copied: readonly CopiedChunk[];
  /** Chunks that were committed while the rebuild ran: their rows were taken as they were stored. */
  readonly chunksMeanwhile: number;
  readonly durationMs: number;
  readonly exclusiveMs: number;
}

const rebuildLock = 'rebuild';
const flushBytes = 1024 * 1024;
const copiedListedMax = 1_000;
const chunksPerPage = 200;

/**
 * Rebuilds the ledger: refolds every chunk whose records are all on the log, with its stored decisions, and copies the
 * others by the hash of their rows; compares the fresh tables with the live ones; exchanges them when they are equal, or
 * when differences are accepted. The projection goes on but for the exchange. Throws REBUILD_RUNNING and whatever the
 * signal says; SEQUENCE_GAP when the log lacks a record that no erasure removed; until the exchange nothing of the live tables is touched.
 */
export async function rebuildLedger(
  ports: LedgerRebuildPorts,
  wish: LedgerRebuildWish,
): Promise<LedgerRebuildReport> {
  const { db, logger } = ports;
  return withLockSession(db, async (session) => {
    if (!(await session.tryLock(rebuildLock))) {
      throw new ServiceError('REBUILD_RUNNING', 'A rebuild of the ledger is running.');
    }
    await recover(ports);
    try {
      return await rebuildUnderLock(ports, wish);
    } finally {
      await recover(ports).catch((error: unknown) => {
        // What ended the rebuild is the news; the next start does the rest.
        logger.warn({ component: 'rebuild', ...failureFields(error) }, 'work of a rebuild stays');
      });
    }
  });
}

/**
 * At the start, before the projection: takes away what a rebuild left that died; answers whether there was anything.
 * If it died after tables were exchanged, chunks that only the old tables hold are marked pending first, so that the
 * projection inserts them again; if it died before, there are none.
 */
export async function recoverLedger(ports: Omit<LedgerRebuildPorts, 'turn'>): Promise<boolean> {
  return withLockSession(ports.db, async (session) => {
    // Another process may be in the middle of one.
    if (!(await session.tryLock(rebuildLock))) return false;
    try {
      return await recover(ports);
    } catch (error) {
      if (!(error instanceof WorkTableHeld)) throw error;
      // The ledger is whole, and the next rebuild drops the table before it begins.
      const fields = failureFields(error.cause);
      ports.logger.warn({ component: 'rebuild', ...fields }, 'work of an unfinished rebuild stays');
      return true;
    }
  });
}

/** The last step of `recover` failed: the rest is done. */
class WorkTableHeld extends Error {
  override readonly name = 'WorkTableHeld';
}

async function recover({
  db,
  ledger,
}: Pick<LedgerRebuildPorts, 'db' | 'ledger'>): Promise<boolean> {
  const stranded = await strandedManifests(ledger.statements);
  if (stranded.length > 0) await markPending(db, stranded);
  const hadTables = await dropFreshLedger(ledger.statements);
  try {
    return (await dropWorkTable(db)) || hadTables;
  } catch (error) {
    throw new WorkTableHeld('the work table stays', { cause: error });
  }
}

async function rebuildUnderLock(
  ports: LedgerRebuildPorts,
  wish: LedgerRebuildWish,
): Promise<LedgerRebuildReport> {
  const { db, clock, ledger } = ports;
  const sinceMs = clock.monotonicMs();
  await createWorkTable(db);
  await createFreshLedger(ledger.statements);
  const folded = await foldChunks(ports, wish);
  const compared = await compareLedger(
    ledger.statements,
    async (manifestIds) => heldChunks(db, manifestIds),
    (rows) => wish.onProgress(progressOf('compare', folded, rows)),
  );
  const differences = compared.reduce((sum, { differing }) => sum + differing, 0);
  wish.signal.throwIfAborted();
  const maySwap = folded.broken.length === 0 && (differences === 0 || wish.acceptDifferences);
  const swap =
    wish.checkOnly || !maySwap
      ? { swapped: false, exclusiveMs: 0, chunksMeanwhile: 0 }
      : await swapLedger(ports, () => wish.onProgress(progressOf('swap', folded, 0)));
  return {
    ...swap,
    families: compared,
    broken: folded.broken,
    recordsRead: folded.recordsRead,
    chunksRefolded: folded.refolded,
    chunksCopied: folded.chunksCopied,
    copied: folded.copied,
    durationMs: clock.monotonicMs() - sinceMs,
  };
}

/** What folding has come to. */
interface Folded {
  recordsRead: number;
  total: number;
  refolded: number;
  chunksCopied: number;
  readonly copied: CopiedChunk[];
  readonly broken: BrokenChunk[];
}

async function foldChunks(
  ports: LedgerRebuildPorts,
  { signal, onProgress }: LedgerRebuildWish,
): Promise<Folded> {
  const { db, ledger } = ports;
  const inserts = createFreshInserts(ledger.statements);
  const total = await countChunks(db);
  const folded: Folded = {
    recordsRead: 0,
    total,
    refolded: 0,
    chunksCopied: 0,
    copied: [],
    broken: [],
  };
  const takeChunk = async (manifestId: string, parts: readonly ReadPart[]): Promise<void> => {
    signal.throwIfAborted();
    await foldChunk(ports, folded, inserts, manifestId, parts);
    if (inserts.bytes >= flushBytes) await noteChunks(db, await inserts.flush());
    onProgress(progressOf('fold', folded, folded.refolded + folded.chunksCopied));
  };
  const counted = (records: number): void => {
    folded.recordsRead += records;
  };
  for await (const chunk of readChunks({ ...ports, signal }, counted)) {
    await takeChunk(chunk.manifestId, chunk.parts);
  }
  let page = await rangelessChunks(db, undefined, chunksPerPage);
  while (page.length > 0) {
    for (const manifestId of page) await takeChunk(manifestId, []);
    page = await rangelessChunks(db, page.at(-1), chunksPerPage);
  }
  await noteChunks(db, await inserts.flush());
  return folded;
}

async function foldChunk(
  { db, keyClient }: LedgerRebuildPorts,
  folded: Folded,
  inserts: FreshInserts,
  manifestId: string,
  parts: readonly ReadPart[],
): Promise<void> {
  const chunk = await readChunk(db, manifestId);
  const outcome = await refold(keyClient, chunk, parts);
  // Equal by their hash, so the stored bytes are the refolded ones. Spoilt bytes may not even be rows.
  inserts.add(manifestId, isSpoilt(outcome) ? [] : chunk.inserts);
  if (outcome.kind === 'equal') folded.refolded += 1;
  else if (outcome.kind === 'broken') folded.broken.push(outcome.broken);
  else {
    folded.chunksCopied += 1;
    if (folded.copied.length >= copiedListedMax) return;
    const listed = parts.map(({ part, erased }) => ({ ...part, erased }));
    folded.copied.push({ manifestId, why: outcome.why, parts: listed });
  }
}

function isSpoilt(outcome: Refolded): boolean {
  return outcome.kind === 'broken' && outcome.broken.kind === 'stored rows do not match their hash';
}

function progressOf(
  phase: LedgerProgress['phase'],
  { total, refolded, chunksCopied }: Folded,
  done: number,
): LedgerProgress {
  const known = phase === 'fold' ? total : 0;
  return { phase, done, total: known, chunksRefolded: refolded, chunksCopied };
}
