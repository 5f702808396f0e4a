import { type Kysely, sql, type Transaction } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { LogWrite, TopicPartition } from '../event-log/port.ts';
import { eventIdFromBytes } from '../ids/ids.ts';
import type { SequencedRow } from './port.ts';
import { storedKind } from './tables.ts';

/** Rows on their way to the log: numbered and committed, not yet known to be there. */
export interface Batch {
  /** Ascending; also their order on the log. */
  readonly rowIds: readonly bigint[];
  /** The sequence of the first record; without records the one that comes next. */
  readonly firstSequence: bigint;
  /** The last sequence given in the partition, this batch included. */
  readonly lastSequence: bigint;
  readonly writes: readonly LogWrite[];
}

export interface BatchLimits {
  readonly rowsMax: number;
  /** Payload bytes; a batch has one row at least. */
  readonly bytesMax: number;
}

export type OnSequenced<Schema> = (
  tx: Transaction<Schema>,
  rows: readonly SequencedRow[],
) => Promise<void>;

export interface BatchRequest<Schema> extends TopicPartition {
  readonly limits: BatchLimits;
  readonly onSequenced: OnSequenced<Schema> | undefined;
  /** The batch that has just been appended: its rows go. */
  readonly published: Batch | undefined;
  /** The last sequence on the log, read before this call by a writer that fenced all others. */
  readonly lastOnLog: bigint;
}

interface Counter {
  last_sequence: bigint;
  batch_first_sequence: bigint | null;
  batch_row_ids: bigint[] | null;
}

interface StoredRow {
  row_id: bigint;
  kind: number;
  event_id: Buffer | null;
  value: Buffer | null;
  recorded_at_ms: bigint | null;
}

/** Bytes of a row beside its payload, about. */
const rowOverheadBytes = 100;

/**
 * One transaction: drops the rows that were published and gives the next rows their sequences. A batch that is in
 * flight already (another relay died, or its answer was lost) comes back as it is. Undefined when nothing waits.
 * Throws LOG_AHEAD_OF_TABLE or SEQUENCE_GAP, having numbered nothing, when log and table do not fit each other.
 *
 * If the process dies before the commit, nothing was numbered, and published rows are found in flight and at or below
 * the log's last sequence. After it, the batch is found in flight.
 */
export async function takeBatch<Schema>(
  db: Kysely<Schema>,
  request: BatchRequest<Schema>,
): Promise<Batch | undefined> {
  const { published } = request;
  return db.transaction().execute(async (tx) => {
    const counter = await lockCounter(tx, request);
    const lastSequence = counter.last_sequence;
    if (published !== undefined) {
      await sql`delete from outbox where row_id = any(${[...published.rowIds]}::int8[])`.execute(
        tx,
      );
    }
    const inFlight = counter.batch_row_ids;
    if (inFlight !== null && !sameIds(inFlight, published?.rowIds)) {
      const firstSequence = counter.batch_first_sequence ?? lastSequence + 1n;
      assertSameEnd(request, firstSequence - 1n, lastSequence);
      return batchInFlight(tx, inFlight, firstSequence, lastSequence);
    }
    assertSameEnd(request, lastSequence, lastSequence);
    return takeNext(tx, request, counter);
  });
}

/**
 * The log has all that was published and nothing that was not numbered; anything else is lost data. Before new rows
 * are numbered: afterwards a log that is ahead would look as if it had them.
 */
function assertSameEnd<Schema>(
  { topic, partition, lastOnLog }: BatchRequest<Schema>,
  lastPublished: bigint,
  lastNumbered: bigint,
): void {
  const name = `${topic}/${partition}`;
  if (lastOnLog > lastNumbered) {
    throw new ServiceError(
      'LOG_AHEAD_OF_TABLE',
      `${name}: the log ends at sequence ${lastOnLog}, the table has given ${lastNumbered}`,
    );
  }
  if (lastOnLog < lastPublished) {
    throw new ServiceError(
      'SEQUENCE_GAP',
      `${name}: the log ends at sequence ${lastOnLog}, ${lastPublished} were published: the log lost records`,
    );
  }
}

async function lockCounter<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
): Promise<Counter> {
  // Rows are read in later statements, whose snapshots are taken after the wait for this lock.
  const { rows } = await sql<Counter>`
    select last_sequence, batch_first_sequence, batch_row_ids from partition_counters
    where topic = ${topic} and partition = ${partition} for update`.execute(tx);
  const [counter] = rows;
  if (counter === undefined) throw new RangeError(`${topic}/${partition} has no counter`);
  return counter;
}

function sameIds(left: readonly bigint[], right: readonly bigint[] | undefined): boolean {
  return left.length === right?.length && left.every((rowId, index) => rowId === right[index]);
}

async function takeNext<Schema>(
  tx: Transaction<Schema>,
  request: BatchRequest<Schema>,
  counter: Counter,
): Promise<Batch | undefined> {
  const { topic, partition, onSequenced } = request;
  const rows = await oldestRows(tx, request);
  const firstSequence = counter.last_sequence + 1n;
  const sequenced = rows
    .filter((row) => row.kind === storedKind.record)
    .map((row, index) => ({
      eventId: eventIdFromBytes(bytesOf(row.event_id)),
      partition,
      sequence: firstSequence + BigInt(index),
    }));
  const lastSequence = counter.last_sequence + BigInt(sequenced.length);
  const rowIds = rows.map((row) => row.row_id);
  if (rows.length > 0 || counter.batch_row_ids !== null) {
    await sql`update partition_counters set last_sequence = ${lastSequence}::int8,
        batch_first_sequence = ${rows.length === 0 ? null : firstSequence}::int8,
        batch_row_ids = ${rows.length === 0 ? null : rowIds}::int8[]
      where topic = ${topic} and partition = ${partition}`.execute(tx);
  }
  if (sequenced.length > 0) await onSequenced?.(tx, sequenced);
  if (rows.length === 0) return undefined;
  return { rowIds, firstSequence, lastSequence, writes: writesOf(rows, firstSequence) };
}

async function oldestRows<Schema>(
  tx: Transaction<Schema>,
  { topic, partition, limits }: BatchRequest<Schema>,
): Promise<StoredRow[]> {
  const { rows } = await sql<StoredRow>`
    select row_id, kind, event_id, value, recorded_at_ms from (
      select *, row_number() over (order by row_id) as place,
        sum(coalesce(octet_length(value), 0) + ${rowOverheadBytes}::int4) over (order by row_id) as bytes
      from (select * from outbox where topic = ${topic} and partition = ${partition}
        order by row_id limit ${limits.rowsMax}) as oldest) as measured
    where place = 1 or bytes <= ${limits.bytesMax} order by row_id`.execute(tx);
  return rows;
}

async function batchInFlight<Schema>(
  tx: Transaction<Schema>,
  rowIds: readonly bigint[],
  firstSequence: bigint,
  lastSequence: bigint,
): Promise<Batch> {
  const { rows } = await sql<StoredRow>`
    select row_id, kind, event_id, value, recorded_at_ms from outbox
    where row_id = any(${[...rowIds]}::int8[]) order by row_id`.execute(tx);
  if (rows.length !== rowIds.length) {
    throw new ServiceError(
      'SEQUENCE_GAP',
      `${rowIds.length - rows.length} numbered outbox rows from sequence ${firstSequence} on were deleted unpublished`,
    );
  }
  return { rowIds, firstSequence, lastSequence, writes: writesOf(rows, firstSequence) };
}

function writesOf(rows: readonly StoredRow[], firstSequence: bigint): LogWrite[] {
  let lastSequence = firstSequence - 1n;
  return rows.map((row): LogWrite => {
    if (row.kind === storedKind.tick) return { kind: 'tick', lastSequence };
    const eventId = bytesOf(row.event_id);
    if (row.kind === storedKind.tombstone) return { kind: 'tombstone', eventId };
    lastSequence += 1n;
    const recordedAtMs = Number(row.recorded_at_ms);
    return { kind: 'record', eventId, value: bytesOf(row.value), recordedAtMs };
  });
}

function bytesOf(column: Buffer | null): Buffer {
  if (column === null) throw new ServiceError('INTERNAL_DEFECT', 'an outbox row lacks its bytes');
  return column;
}

/** What is left to write of a batch when the log has everything up to `lastOnLog`, and from which sequence on. */
export function remainingWrites(
  batch: Batch,
  lastOnLog: bigint,
): { readonly firstSequence: bigint; readonly writes: readonly LogWrite[] } {
  let sequence = batch.firstSequence - 1n;
  const writes = batch.writes.filter((write) => {
    if (write.kind !== 'record') {
      // It stands after `sequence`. Below the log's end it is there, as what follows it is; at the end nobody knows,
      // and a tombstone or tick that is there twice does no harm.
      return sequence >= lastOnLog;
    }
    sequence += 1n;
    return sequence > lastOnLog;
  });
  const firstSequence = lastOnLog >= batch.firstSequence ? lastOnLog + 1n : batch.firstSequence;
  return { firstSequence, writes };
}
