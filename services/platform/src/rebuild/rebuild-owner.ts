import type { Kysely } from 'kysely';
import { RebuildPhase } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { failureFields } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type LockSession, withLockSession } from '../database/lock-session.ts';
import type { EventLog } from '../event-log/port.ts';
import type { EventFamily } from '../event-store/family.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import type { KeyClient } from '../key-client/port.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { noteFenced, notePending } from './changed-rows.ts';
import { compareTables, type TableCounts } from './compare.ts';
import { type FoldPorts, foldStreams, sealUnconfirmed } from './fold-streams.ts';
import { rebuildLock } from './derived-tables.ts';
import { createFreshTables, removeWork } from './fresh-tables.ts';
import { loadRecords } from './load-records.ts';
import { readLogRecord, type ReadRecord } from './log-record.ts';
import { loadObserved } from './observed-records.ts';
import { readTopic } from './read-topic.ts';
import { keepErasedIds, keepVersions } from './rest-of-rows.ts';
import type { RebuildRules } from './rules.ts';
import { createSequenceCheck, publishedSequences } from './sequence-check.ts';
import { type Settled, settle, type Swapped, swapTables } from './swap.ts';

export interface OwnerRebuildPorts<State> {
  readonly db: Kysely<EventStoreSchema>;
  readonly eventLog: EventLog;
  readonly keys: KeyClient;
  readonly family: Pick<
    EventFamily<never, State>,
    'service' | 'topic' | 'streamKind' | 'keepsRecords' | 'stateCodec'
  >;
  /** Undefined: streams without state. */
  readonly rules: RebuildRules<State> | undefined;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

export interface RebuildWish {
  readonly checkOnly: boolean;
  readonly acceptDifferences: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: RebuildStep) => void;
}

export interface RebuildStep {
  readonly phase: RebuildPhase;
  readonly done: number;
  /** 0 when it is not known. */
  readonly total: number;
}

export interface OwnerRebuildReport extends Swapped {
  readonly counts: readonly TableCounts[];
  readonly recordsRead: number;
  readonly streamsFolded: number;
  readonly streamsUnderErasure: number;
  readonly durationMs: number;
}

/**
 * Rebuilds the derived tables of an event owner from its log into fresh ones, compares them with the live ones, and
 * puts them in their place when they are equal, or when differences are accepted (docs/operators/rebuild.md). Appends,
 * relay and erasures go on meanwhile. Throws REBUILD_RUNNING, SEQUENCE_GAP, TAMPERED, and whatever the signal says.
 *
 * Whatever ends it, the live tables are as they were unless the swap has committed; what is left of the work is removed
 * here, or by `createRebuildLeftovers`.
 */
export async function rebuildOwner<State>(
  ports: OwnerRebuildPorts<State>,
  wish: RebuildWish,
): Promise<OwnerRebuildReport> {
  const work = async (session: LockSession<EventStoreSchema>): Promise<OwnerRebuildReport> => {
    if (!(await session.tryLock(rebuildLock))) {
      throw new ServiceError('REBUILD_RUNNING', `A rebuild of ${ports.family.service} is running.`);
    }
    // All of it on the connection that holds the lock: when that breaks, nothing of ours goes on.
    const underLock = { ...ports, db: session.db };
    await removeWork(session.db, ports.clock);
    try {
      return await rebuildUnderLock(underLock, wish);
    } finally {
      await removeQuietly(underLock);
    }
  };
  return withLockSession(ports.db, work, { mayTakeLong: true });
}

async function removeQuietly<State>({
  db,
  clock,
  logger,
}: OwnerRebuildPorts<State>): Promise<void> {
  try {
    await removeWork(db, clock);
  } catch (error) {
    // What ended the rebuild is the news; `createRebuildLeftovers` removes the rest.
    logger.warn({ component: 'rebuild', ...failureFields(error) }, 'work of a rebuild stays');
  }
}

async function rebuildUnderLock<State>(
  ports: OwnerRebuildPorts<State>,
  wish: RebuildWish,
): Promise<OwnerRebuildReport> {
  const { db, clock, family, eventLog, logger } = ports;
  const { signal } = wish;
  const sinceMs = clock.monotonicMs();
  // 1. From here on every change of a live row is noted. The order of these matters: see `notePending`.
  await createFreshTables(db, clock);
  const partitions = eventLog.partitionsOf(family.topic);
  const published = await publishedSequences(db, family.topic, partitions);
  await notePending(db, family.topic);
  // 2. The log into the fresh tables.
  const recordsRead = await readLog(ports, wish, published);
  await loadObservedIfAny(ports, signal);
  await keepErasedIds(db);
  // 3. States.
  const streamsFolded = await foldIfAny(ports, wish);
  // 4. What erasure has begun or done is taken from the live tables, as is what has changed.
  const streamsUnderErasure = await noteFenced(db, family.streamKind);
  const { changed } = await settle(db);
  // 5. Compare.
  const counts = await compare(ports, wish);
  signal.throwIfAborted();
  wish.onProgress({ phase: RebuildPhase.REBUILD_PHASE_SWAP, done: 0, total: 0 });
  const swapped = await swapOrNot(ports, wish);
  const durationMs = clock.monotonicMs() - sinceMs;
  logger.info({ component: 'rebuild', records: recordsRead }, 'rebuild ended');
  return {
    ...swapped,
    changed: swapped.changed + changed,
    counts,
    recordsRead,
    streamsFolded,
    streamsUnderErasure,
    durationMs,
  };
}

async function readLog<State>(
  { db, eventLog, family }: OwnerRebuildPorts<State>,
  { signal, onProgress }: RebuildWish,
  published: readonly bigint[],
): Promise<number> {
  const { topic, keepsRecords, stateCodec } = family;
  const ends = await eventLog.endOffsets(topic);
  const total = Number(published.reduce((sum, last) => sum + last, 0n));
  const check = createSequenceCheck(db, topic, published);
  const group = `${family.service}-rebuild`;
  let done = 0;
  for await (const { partition, entries } of readTopic(eventLog, { group, topic, ends, signal })) {
    const read: ReadRecord[] = [];
    for (const entry of entries) {
      if (entry.kind === 'tick') await check.tick(partition, entry.lastSequence);
      if (entry.kind !== 'record' || !(await check.record(partition, entry.sequence))) continue;
      read.push(readLogRecord(topic, partition, entry));
    }
    const wish = { keepsRecords, hasState: stateCodec !== undefined };
    await db.transaction().execute(async (tx) => loadRecords(tx, read, wish));
    done += read.length;
    onProgress({ phase: RebuildPhase.REBUILD_PHASE_READ, done, total });
  }
  await check.end();
  return done;
}

async function loadObservedIfAny<State>(
  { db, eventLog, family, rules }: OwnerRebuildPorts<State>,
  signal: AbortSignal,
): Promise<void> {
  if (rules?.observed === undefined) return;
  const partitions = eventLog.partitionsOf(family.topic);
  const group = `${family.service}-rebuild-observing`;
  await loadObserved({ db, eventLog, group, partitions, signal }, rules.observed);
}

function foldPortsOf<State>(ports: OwnerRebuildPorts<State>): FoldPorts<State> | undefined {
  const { db, keys, randomBytes, family, rules } = ports;
  const codec = family.stateCodec;
  if (rules === undefined || codec === undefined) return undefined;
  return { db, keys, randomBytes, family, codec, rules };
}

async function foldIfAny<State>(
  ports: OwnerRebuildPorts<State>,
  { signal, onProgress }: RebuildWish,
): Promise<number> {
  const foldPorts = foldPortsOf(ports);
  if (foldPorts === undefined) {
    await keepVersions(ports.db);
    return 0;
  }
  let done = 0;
  await foldStreams(foldPorts, async (streams) => {
    signal.throwIfAborted();
    done += streams;
    onProgress({ phase: RebuildPhase.REBUILD_PHASE_FOLD, done, total: 0 });
  });
  return done;
}

async function compare<State>(
  { db }: OwnerRebuildPorts<State>,
  { signal, onProgress }: RebuildWish,
): Promise<readonly TableCounts[]> {
  let done = 0;
  return compareTables(db, async (rows) => {
    signal.throwIfAborted();
    done += rows;
    onProgress({ phase: RebuildPhase.REBUILD_PHASE_COMPARE, done, total: 0 });
  });
}

async function swapOrNot<State>(
  ports: OwnerRebuildPorts<State>,
  { checkOnly, acceptDifferences, signal }: RebuildWish,
): Promise<Swapped> {
  const { db, clock, family } = ports;
  const foldPorts = foldPortsOf(ports);
  const settled: Settled = await settle(db);
  const isEqual = settled.differences.total === 0;
  if (checkOnly || (!isEqual && !acceptDifferences)) {
    return { ...settled, swapped: false, exclusiveMs: 0 };
  }
  if (!isEqual && foldPorts !== undefined) await sealUnconfirmed(foldPorts);
  // The last moment at which the caller may go away: the swap is one transaction.
  signal.throwIfAborted();
  const swapped = await swapTables(db, clock, family.streamKind, acceptDifferences);
  return { ...swapped, changed: settled.changed + swapped.changed };
}
