import { createHash } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { projectionVersion } from '../domain/families.ts';
import { fold } from '../domain/fold.ts';
import { encodeLedgerRows } from '../domain/ledger-rows.ts';
import { countRecord, type FactsLeases, leaseFacts } from '../projection/open-records.ts';
import type { BrokenChunk, ChunkPart, StoredChunk, WhyCopied } from './chunks.ts';

/** A part with what the log still has of it, and how many records it lacks. */
export interface ReadPart {
  readonly part: ChunkPart;
  /** By rising sequence, without what was parked. */
  readonly records: readonly LogRecord[];
  readonly erased: number;
}

export type Refolded =
  | { readonly kind: 'equal' }
  | { readonly kind: 'copied'; readonly why: WhyCopied }
  | { readonly kind: 'broken'; readonly broken: BrokenChunk };

/**
 * Folds a chunk again, with the accept decisions that were stored for it, and compares each of its encoded inserts
 * with the stored one by SHA-256. Nothing is decided anew: contributions are counted once and for ever.
 */
export async function refold(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  chunk: StoredChunk,
  read: readonly ReadPart[],
): Promise<Refolded> {
  const { manifestId } = chunk;
  const spoilt = chunk.inserts.filter(({ sha256, body }) => !sha256.equals(hashOf(body)));
  if (spoilt.length > 0) {
    const kind = 'stored rows do not match their hash';
    const spoiltFamilies = spoilt.map(({ family }) => family);
    return { kind: 'broken', broken: { manifestId, kind, families: spoiltFamilies } };
  }
  const why = whyNot(chunk, read);
  if (why !== undefined) return { kind: 'copied', why };
  const records = read.flatMap((part) => part.records);
  const leases = await leaseFacts(keyClient, records);
  if (isUnreadable(leases)) return { kind: 'copied', why: 'unreadable' };
  for (const order of ordersOf(read)) {
    if (differingFamilies(chunk, order, leases).length === 0) return { kind: 'equal' };
  }
  const families = differingFamilies(chunk, inLogOrder(read), leases);
  return { kind: 'broken', broken: { manifestId, kind: 'folds to other rows', families } };
}

function whyNot(chunk: StoredChunk, read: readonly ReadPart[]): WhyCopied | undefined {
  if (chunk.projectionVersion !== projectionVersion) return 'version';
  // The manifest of a replay: its records lie in the ranges of the chunks that passed over them.
  if (read.length === 0) return 'parked';
  return read.some(({ erased }) => erased > 0) ? 'erased' : undefined;
}

function isUnreadable(leases: FactsLeases): boolean {
  return [...leases.values()].some(
    (lease) => !(lease instanceof ServiceError) && !lease.granted && lease.status === 'erased',
  );
}

/** Chunks are folded by topic and partition; those of earlier versions as their parts came. */
function ordersOf(read: readonly ReadPart[]): readonly (readonly ReadPart[])[] {
  const stored = read.toSorted((a, b) => a.part.place - b.part.place);
  return [inLogOrder(read), stored];
}

function inLogOrder(read: readonly ReadPart[]): readonly ReadPart[] {
  return read.toSorted((a, b) =>
    a.part.topic === b.part.topic
      ? a.part.partition - b.part.partition
      : a.part.topic < b.part.topic
        ? -1
        : 1,
  );
}

/** The families of which the fold gives other bytes; `(fold)` when it cannot be done at all. */
function differingFamilies(
  { manifestId, decisionBits, decisionCount, inserts }: StoredChunk,
  read: readonly ReadPart[],
  leases: FactsLeases,
): readonly string[] {
  const decisions = { bits: decisionBits, count: decisionCount };
  let encoded: ReturnType<typeof encodeLedgerRows>;
  try {
    const events = read.flatMap(({ records }) => eventsOf(records, leases));
    encoded = encodeLedgerRows(fold(events, decisions), manifestId);
  } catch (error) {
    // Keys that are away may come back: the rebuild ends and is begun again. What is wrong with a record stays.
    if (isTransient(error)) throw error;
    return ['(fold)'];
  }
  const stored = new Map(inserts.map((one) => [`${one.family}/${one.month}`, one.sha256]));
  const differing = encoded
    .filter(({ family, month, body }) => !stored.get(`${family}/${month}`)?.equals(hashOf(body)))
    .map(({ family }) => family);
  const folded = new Set(encoded.map(({ family, month }) => `${family}/${month}`));
  const lacking = inserts.filter(({ family, month }) => !folded.has(`${family}/${month}`));
  return [...new Set([...differing, ...lacking.map(({ family }) => family)])];
}

function eventsOf(records: readonly LogRecord[], leases: FactsLeases): readonly CountedEvent[] {
  return records.flatMap((record) => countRecord(record, leases) ?? []);
}

function hashOf(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}
