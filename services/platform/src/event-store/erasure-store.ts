import { type Kysely, sql, type Transaction } from 'kysely';
import type { ErasureId, EventId, TenantId } from '../ids/ids.ts';
import type { ErasurePhase, EventStoreSchema } from './tables.ts';

/** An erasure that is not done here yet. */
export interface ErasureJob {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  readonly phase: ErasurePhase;
  readonly createdAtMs: number;
}

type Tx = Transaction<EventStoreSchema>;

/** Before every erasure. */
const noErasure = '00000000-0000-0000-0000-000000000000';
type StreamKind = 'ticket' | 'person';

/** Oldest first; those that come after `after`. */
export async function openJobs(
  db: Kysely<EventStoreSchema>,
  after: ErasureJob | undefined,
  jobsMax: number,
): Promise<readonly ErasureJob[]> {
  const { createdAtMs = -1, erasureId = noErasure, tenantId = '' } = after ?? {};
  const rows = await db
    .selectFrom('erasure_jobs')
    .select(['tenant_id', 'erasure_id', 'phase', 'created_at_ms'])
    .where('phase', '<>', 'done')
    .where(
      sql<boolean>`(created_at_ms, erasure_id, tenant_id) > (${BigInt(createdAtMs)}::int8, ${erasureId}::uuid, ${tenantId})`,
    )
    .orderBy('created_at_ms')
    .orderBy('erasure_id')
    .orderBy('tenant_id')
    .limit(jobsMax)
    .execute();
  return rows.map((row) => ({
    tenantId: row.tenant_id as TenantId,
    erasureId: row.erasure_id as ErasureId,
    phase: row.phase,
    createdAtMs: Number(row.created_at_ms),
  }));
}

/** Goes from the phase that the job was read in to the next; false when another process was faster. */
export async function advance(tx: Tx, job: ErasureJob, phase: ErasurePhase): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('erasure_jobs')
    .set({ phase })
    .where('tenant_id', '=', job.tenantId)
    .where('erasure_id', '=', job.erasureId)
    .where('phase', '=', job.phase)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Locks the job for one page; false when it is not in this phase any more. */
export async function lockJob(tx: Tx, job: ErasureJob): Promise<boolean> {
  const { rows } = await sql`
    select 1 from erasure_jobs where tenant_id = ${job.tenantId} and erasure_id = ${job.erasureId}
      and phase = ${job.phase} for update`.execute(tx);
  return rows.length > 0;
}

/** Whether records of the erased streams wait in the outbox without a sequence. */
export async function hasPendingRecords(
  tx: Tx,
  job: ErasureJob,
  kind: StreamKind,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from erasure_scopes as erased join event_index as indexed
      on indexed.tenant_id = erased.tenant_id and indexed.stream_token = erased.token
      and indexed.stream_incarnation <= erased.incarnation
    where erased.tenant_id = ${job.tenantId} and erased.erasure_id = ${job.erasureId} and erased.kind = ${kind}
      and indexed.sequence is null limit 1`.execute(tx);
  return rows.length > 0;
}

/** Stores the highest sequence of the erased streams per partition. */
export async function storeHeads(tx: Tx, job: ErasureJob, kind: StreamKind): Promise<void> {
  await sql`
    insert into erasure_heads (tenant_id, erasure_id, partition, sequence)
    select ${job.tenantId}, ${job.erasureId}, indexed.partition, max(indexed.sequence)
    from erasure_scopes as erased join event_index as indexed
      on indexed.tenant_id = erased.tenant_id and indexed.stream_token = erased.token
      and indexed.stream_incarnation <= erased.incarnation
    where erased.tenant_id = ${job.tenantId} and erased.erasure_id = ${job.erasureId} and erased.kind = ${kind}
    group by indexed.partition
    on conflict do nothing`.execute(tx);
}

export interface ErasureHead {
  readonly partition: number;
  readonly sequence: bigint;
}

export async function readHeadsOf(
  db: Kysely<EventStoreSchema>,
  job: ErasureJob,
): Promise<readonly ErasureHead[]> {
  return db
    .selectFrom('erasure_heads')
    .select(['partition', 'sequence'])
    .where('tenant_id', '=', job.tenantId)
    .where('erasure_id', '=', job.erasureId)
    .execute();
}

/** Whether any of these sequences is of a stream that the job erases. */
export async function isAnyErased(
  tx: Tx,
  job: ErasureJob,
  kind: StreamKind,
  sequences: readonly ErasureHead[],
): Promise<boolean> {
  if (sequences.length === 0) return false;
  const { rows } = await sql`
    select 1 from erasure_scopes as erased join event_index as indexed
      on indexed.tenant_id = erased.tenant_id and indexed.stream_token = erased.token
      and indexed.stream_incarnation <= erased.incarnation
    join unnest(${sequences.map(({ partition }) => partition)}::int4[],
      ${sequences.map(({ sequence }) => sequence)}::int8[]) as asked (partition, sequence)
      on asked.partition = indexed.partition and asked.sequence = indexed.sequence
    where erased.tenant_id = ${job.tenantId} and erased.erasure_id = ${job.erasureId} and erased.kind = ${kind}
    limit 1`.execute(tx);
  return rows.length > 0;
}

/** Says in the receipt that analytics may not have folded everything. */
export async function markLedgerIncomplete(tx: Tx, job: ErasureJob): Promise<void> {
  await tx
    .updateTable('erasure_jobs')
    .set({ ledger_complete: false })
    .where('tenant_id', '=', job.tenantId)
    .where('erasure_id', '=', job.erasureId)
    .execute();
}

/** A stream whose rows are to go, with all incarnations up to this one. */
export interface ErasedStream {
  readonly token: string;
  readonly incarnation: number;
}

export async function nextStreams(
  tx: Tx,
  job: ErasureJob,
  kind: StreamKind,
  streamsMax: number,
): Promise<readonly ErasedStream[]> {
  return tx
    .selectFrom('erasure_scopes')
    .select(['token', 'incarnation'])
    .where('tenant_id', '=', job.tenantId)
    .where('erasure_id', '=', job.erasureId)
    .where('kind', '=', kind)
    .orderBy('token')
    .limit(streamsMax)
    .execute();
}

/** An index row of an erased stream. */
export interface ErasedRecord {
  readonly recordId: EventId;
  readonly partition: number;
  readonly sequence: bigint | null;
}

// The streams as a table: `erased (token, incarnation)`.
function streamsTable(streams: readonly ErasedStream[]) {
  return sql`unnest(${streams.map((stream) => stream.token)}::text[],
    ${streams.map((stream) => stream.incarnation)}::int4[]) as erased (token, incarnation)`;
}

export async function nextRecords(
  tx: Tx,
  tenantId: TenantId,
  streams: readonly ErasedStream[],
  recordsMax: number,
): Promise<readonly ErasedRecord[]> {
  const { rows } = await sql<{ record_id: EventId; partition: number; sequence: bigint | null }>`
    select indexed.record_id, indexed.partition, indexed.sequence
    from ${streamsTable(streams)} join event_index as indexed on indexed.tenant_id = ${tenantId}
      and indexed.stream_token = erased.token and indexed.stream_incarnation <= erased.incarnation
    order by indexed.stream_token, indexed.stream_incarnation, indexed.position
    limit ${recordsMax}`.execute(tx);
  return rows.map((row) => ({
    recordId: row.record_id,
    partition: row.partition,
    sequence: row.sequence,
  }));
}

/** Deletes the read-model rows of these records and takes them off their stream; their ids stay. Answers the rows. */
export async function detachRecords(
  tx: Tx,
  tenantId: TenantId,
  recordIds: readonly EventId[],
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from records using event_index as indexed
    where indexed.record_id = any(${recordIds}::uuid[]) and indexed.tenant_id = ${tenantId}
      and records.tenant_id = indexed.tenant_id and records.stream_token = indexed.stream_token
      and records.stream_incarnation = indexed.stream_incarnation
      and records.position = indexed.position`.execute(tx);
  await sql`
    update event_index set stream_token = null, stream_incarnation = null, position = null, digest = null
    where record_id = any(${recordIds}::uuid[])`.execute(tx);
  return Number(numAffectedRows ?? 0n);
}

/** Deletes what is left of streams that have no records any more, and strikes them off the job. Answers the rows. */
export async function deleteStreams(
  tx: Tx,
  job: ErasureJob,
  kind: StreamKind,
  streams: readonly ErasedStream[],
): Promise<number> {
  await sql`
    delete from person_boxes using ${streamsTable(streams)}
    where person_boxes.tenant_id = ${job.tenantId} and person_boxes.stream_token = erased.token
      and person_boxes.stream_incarnation <= erased.incarnation`.execute(tx);
  const { numAffectedRows } = await sql`
    delete from streams using ${streamsTable(streams)}
    where streams.tenant_id = ${job.tenantId} and streams.token = erased.token
      and streams.incarnation <= erased.incarnation`.execute(tx);
  await sql`
    delete from erasure_scopes where tenant_id = ${job.tenantId} and erasure_id = ${job.erasureId}
      and kind = ${kind} and token = any(${streams.map((stream) => stream.token)}::text[])`.execute(
    tx,
  );
  return Number(numAffectedRows ?? 0n);
}

/** Adds to what the receipt will say. */
export async function addToJob(
  tx: Tx,
  job: ErasureJob,
  added: { readonly records?: number; readonly rows?: number },
): Promise<void> {
  await sql`
    update erasure_jobs set records = records + ${added.records ?? 0}::int8, rows = rows + ${added.rows ?? 0}::int8
    where tenant_id = ${job.tenantId} and erasure_id = ${job.erasureId}`.execute(tx);
}

/** Forgets the boxes that the job's persons have in others' streams; answers how many there were. */
export async function takePersonBoxes(tx: Tx, job: ErasureJob): Promise<number> {
  const { rows } = await sql<{ boxes: bigint }>`
    delete from person_boxes using erasure_scopes as erased
    where erased.tenant_id = ${job.tenantId} and erased.erasure_id = ${job.erasureId} and erased.kind = 'person'
      and person_boxes.tenant_id = erased.tenant_id and person_boxes.person_token = erased.token
      and person_boxes.person_incarnation <= erased.incarnation
    returning person_boxes.boxes`.execute(tx);
  return rows.reduce((sum, row) => sum + Number(row.boxes), 0);
}

/** What the receipt says. */
export interface ErasureTotals {
  readonly records: bigint;
  readonly rows: bigint;
  readonly boxesUnreadable: bigint;
  readonly ledgerComplete: boolean;
}

/** Ends the job and drops its working rows; the job's row stays as a memory of it. */
export async function finishJob(tx: Tx, job: ErasureJob, boxes: number): Promise<ErasureTotals> {
  const row = await tx
    .updateTable('erasure_jobs')
    .set({ phase: 'done', boxes_unreadable: BigInt(boxes) })
    .where('tenant_id', '=', job.tenantId)
    .where('erasure_id', '=', job.erasureId)
    .returning(['records', 'rows', 'boxes_unreadable', 'ledger_complete'])
    .executeTakeFirstOrThrow();
  for (const table of ['erasure_scopes', 'erasure_heads'] as const) {
    await tx
      .deleteFrom(table)
      .where('tenant_id', '=', job.tenantId)
      .where('erasure_id', '=', job.erasureId)
      .execute();
  }
  return {
    records: row.records,
    rows: row.rows,
    boxesUnreadable: row.boxes_unreadable,
    ledgerComplete: row.ledger_complete,
  };
}
