import { type Kysely, sql, type Transaction } from 'kysely';
import type { Reason } from '@lethe/proto/reasons.ts';
import { readRecord } from '../consumer/classify.ts';
import type { ConsumerEffect, NewRecord } from '../consumer/port.ts';
import { lockFencesShared } from '../database/fence-lock.ts';
import { isTenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createBackoff } from '../retry/backoff.ts';
import { isTransient } from '../retry/is-transient.ts';
import type { ParkingOptions } from './park.ts';
import type { RecordEntry } from './plan.ts';
import { envelopePoisonOf, poisonReasonOf } from './poison.ts';
import { readParkedRecords } from './read.ts';
import { type ParkedStreamId, readFencedStreams } from './store.ts';
import { type StreamName, streamNameOf } from './stream-name.ts';

export interface ReplayPorts<Schema, Prepared> {
  readonly db: Kysely<Schema>;
  readonly parking: ParkingOptions;
  /** What the consumer does with the topic's records, or its like for parked ones. */
  readonly effect: ConsumerEffect<Schema, Prepared>;
  /** After each commit; dying before it is done must lose nothing. */
  readonly finish?: (prepared: Prepared) => Promise<void>;
  readonly clock: Clock;
  /** Records of one transaction. Default 100. */
  readonly batchMax?: number;
}

/** How a replay of one stream stands; `applied` counts from its beginning. */
export type ReplayStep =
  | { readonly state: 'running' | 'done' | 'not_parked'; readonly applied: number }
  | {
      readonly state: 'still_parked';
      readonly applied: number;
      readonly reason: Reason;
      readonly sequence: bigint;
    };

interface Head {
  readonly sequence: bigint;
  readonly name: StreamName;
  readonly record: NewRecord;
}

const attemptsMax = 5;

/**
 * Applies what is parked of a stream, in order, in transactions of at most `batchMax` records; a step after each. Ends
 * when nothing is left, when the next record fails again (it keeps its place, and says why), or when an erasure or
 * another replay was faster. Throws what may succeed later; what was applied stays applied.
 *
 * A record leaves the table in the transaction that applies it: dying at any point, or two replays at once, lose and
 * repeat nothing. The consumer waits meanwhile at the checkpoint's row; while anything of the stream is left it puts new
 * events behind, and the replay goes on with them.
 */
export async function* replayStream<Schema, Prepared>(
  ports: ReplayPorts<Schema, Prepared>,
  id: ParkedStreamId,
  signal: AbortSignal,
): AsyncIterable<ReplayStep> {
  let size = ports.batchMax ?? 100;
  let applied = 0;
  const backoff = createBackoff(100, 2_000);
  while (!signal.aborted) {
    const rows = await readParkedRecords(ports.db, id, 0n, size);
    const [first] = rows;
    if (first === undefined) {
      yield { state: applied === 0 ? 'not_parked' : 'done', applied };
      return;
    }
    const heads = usableHeads(rows.map(({ entry }) => entry));
    const outcome = await tryHeads(ports, id, heads, first.entry);
    if (outcome.kind === 'later') {
      if (backoff.failures() >= attemptsMax) throw outcome.error;
      await ports.clock.sleep(backoff.next(), signal);
    } else if (outcome.kind === 'erased') {
      yield { state: 'not_parked', applied };
      return;
    } else if (outcome.kind === 'applied') {
      backoff.reset();
      applied += heads.length;
      // Dies or fails here: records and effect are committed together; what `finish` does is found by others.
      await ports.finish?.(outcome.prepared);
      yield { state: 'running', applied };
    } else if (outcome.kind === 'poison') {
      // Among several, halves tell which one it is.
      if (heads.length > 1) size = Math.floor(heads.length / 2);
      else {
        const { reason } = outcome;
        yield await stillParked(ports.db, id, { applied, reason, sequence: first.entry.sequence });
        return;
      }
    }
  }
}

type Outcome<Prepared> =
  | { readonly kind: 'applied'; readonly prepared: Prepared }
  /** Another replay took the heads, or the consumer is at them: look again. */
  | { readonly kind: 'changed' }
  /** The erasure's own work drops the records. */
  | { readonly kind: 'erased' }
  | { readonly kind: 'poison'; readonly reason: Reason }
  | { readonly kind: 'later'; readonly error: unknown };

/** Throws what is neither the fault of a record nor over in a moment. */
async function tryHeads<Schema, Prepared>(
  ports: ReplayPorts<Schema, Prepared>,
  id: ParkedStreamId,
  heads: readonly Head[],
  first: RecordEntry,
): Promise<Outcome<Prepared>> {
  if (heads.length === 0) return { kind: 'poison', reason: problemOf(first) };
  try {
    return await applyHeads(ports, id, heads);
  } catch (error) {
    if (isTransient(error)) return { kind: 'later', error };
    const reason = poisonReasonOf(error);
    if (reason === undefined) throw error;
    return { kind: 'poison', reason };
  }
}

/** The first records, up to one that cannot be used as it is. */
function usableHeads(entries: readonly RecordEntry[]): readonly Head[] {
  const heads: Head[] = [];
  for (const entry of entries) {
    const record = readRecord(entry);
    if ('reason' in record || envelopePoisonOf(record) !== undefined) return heads;
    const { sequence, offset } = entry;
    const name = streamNameOf(record, entry.eventId);
    heads.push({ sequence, name, record: { sequence, offset, record } });
  }
  return heads;
}

function problemOf(entry: RecordEntry): Reason {
  const record = readRecord(entry);
  return 'reason' in record ? record.reason : (envelopePoisonOf(record) ?? 'INTERNAL_DEFECT');
}

async function applyHeads<Schema, Prepared>(
  { db, parking, effect }: ReplayPorts<Schema, Prepared>,
  id: ParkedStreamId,
  heads: readonly Head[],
): Promise<Outcome<Prepared>> {
  // Dies in here: nothing happened.
  const prepared = await effect.prepare(
    id,
    heads.map(({ record }) => record),
  );
  const inTransaction = async (tx: Transaction<Schema>) => {
    await lockCheckpoint(tx, id);
    const names = heads.map(({ name }) => name);
    const tenantIds = names.map(({ tenantId }) => tenantId).filter(isTenantId);
    await lockFencesShared(tx, parking.service, tenantIds);
    const fenced = await readFencedStreams(tx, parking.streamKindOf(id.topic), names);
    if (fenced.length > 0) return 'erased';
    if (!(await takeHeads(tx, id, heads))) return 'changed';
    await effect.apply(tx, prepared);
    return 'applied';
  };
  let kind: Exclude<Outcome<Prepared>['kind'], 'poison' | 'later'>;
  try {
    kind = await db.transaction().execute(inTransaction);
  } catch (error) {
    effect.abandoned?.(prepared, error);
    throw error;
  }
  if (kind === 'applied') {
    effect.committed?.(prepared);
    return { kind, prepared };
  }
  effect.abandoned?.(prepared);
  return { kind };
}

/** The consumer's transactions begin with this row: from here on none of them runs beside us. */
async function lockCheckpoint<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: ParkedStreamId,
): Promise<void> {
  await sql`select 1 from checkpoints where topic = ${topic} and partition = ${partition} for update`.execute(
    tx,
  );
}

/** Deletes the heads; false, and nothing is deleted, when they are not the first of the stream any more. */
async function takeHeads<Schema>(
  tx: Transaction<Schema>,
  { topic, partition, tenantId, stream }: ParkedStreamId,
  heads: readonly Head[],
): Promise<boolean> {
  const ofStream = sql`topic = ${topic} and partition = ${partition} and tenant_id = ${tenantId}
    and stream = ${stream}`;
  const { rows } = await sql<{ sequence: bigint }>`select sequence from parked_records
    where ${ofStream} order by sequence limit ${heads.length}`.execute(tx);
  const isSame =
    rows.length === heads.length &&
    rows.every(({ sequence }, index) => sequence === heads[index]?.sequence);
  if (!isSame) return false;
  await sql`delete from parked_records where ${ofStream}
    and sequence = any(${heads.map(({ sequence }) => sequence)}::int8[])`.execute(tx);
  await sql`delete from parked_streams where ${ofStream}
    and not exists (select 1 from parked_records where ${ofStream})`.execute(tx);
  return true;
}

/** The record keeps its place, with what is wrong with it now. */
async function stillParked<Schema>(
  db: Kysely<Schema>,
  { topic, partition }: ParkedStreamId,
  found: { readonly applied: number; readonly reason: Reason; readonly sequence: bigint },
): Promise<ReplayStep> {
  await sql`update parked_records set reason = ${found.reason}
    where topic = ${topic} and partition = ${partition} and sequence = ${found.sequence}`.execute(
    db,
  );
  return { state: 'still_parked', ...found };
}
