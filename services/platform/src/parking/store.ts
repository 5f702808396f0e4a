import { type Kysely, sql, type Transaction } from 'kysely';
import type { TopicPartition } from '../event-log/port.ts';
import type { ParkedPlace } from './breaker.ts';
import type { ToPark } from './plan.ts';
import { waitsBehind } from './poison.ts';
import { type StreamName, streamText } from './stream-name.ts';

/** The kind of scope that protects a topic's streams. */
export type StreamKind = 'ticket' | 'person';

/** A parked stream within one service. */
export interface ParkedStreamId extends TopicPartition {
  readonly tenantId: string;
  readonly stream: string;
}

/** The parked streams of these partitions, by `streamText`, in the order asked. */
export async function readParkedStreams<Schema>(
  db: Kysely<Schema>,
  partitions: readonly TopicPartition[],
): Promise<readonly ReadonlySet<string>[]> {
  const { rows } = await sql<{ place: bigint; tenant_id: string; stream: string }>`
    select place, tenant_id, stream
    from unnest(${partitions.map((each) => each.topic)}::text[],
      ${partitions.map((each) => each.partition)}::int4[])
      with ordinality as asked(topic, partition, place)
    join parked_streams using (topic, partition)`.execute(db);
  const found = partitions.map(() => new Set<string>());
  for (const row of rows) {
    found[Number(row.place) - 1]?.add(streamText({ tenantId: row.tenant_id, stream: row.stream }));
  }
  return found;
}

/** Those of the streams that are fenced up to their incarnation. To be read after the fence lock was taken. */
export async function readFencedStreams<Schema, Name extends StreamName>(
  tx: Transaction<Schema>,
  kind: StreamKind,
  names: readonly Name[],
): Promise<readonly Name[]> {
  if (names.length === 0) return [];
  const { rows } = await sql<{ place: bigint }>`
    select place from unnest(
      ${names.map((name) => name.tenantId)}::text[],
      ${names.map((name) => `${kind}/${name.stream}`)}::text[],
      ${names.map((name) => name.incarnation)}::int4[])
      with ordinality as given(tenant_id, scope, incarnation, place)
    join fences using (tenant_id, scope) where given.incarnation <= fences.incarnation`.execute(tx);
  return rows.flatMap(({ place }) => names[Number(place) - 1] ?? []);
}

/** Stores what one partition parks. A sequence that is there already is a defect and breaks the transaction. */
export async function insertParked<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
  parked: readonly ToPark[],
  parkedAtMs: number,
): Promise<void> {
  await sql`insert into parked_streams (topic, partition, tenant_id, stream)
    select distinct ${topic}, ${partition}::int4, tenant_id, stream from unnest(
      ${parked.map((each) => each.tenantId)}::text[],
      ${parked.map((each) => each.stream)}::text[]) as given(tenant_id, stream)
    on conflict do nothing`.execute(tx);
  await sql`insert into parked_records (topic, partition, sequence, log_offset, tenant_id, stream, incarnation,
      record_key, record, reason, parked_at_ms)
    select ${topic}, ${partition}::int4, given.*, ${parkedAtMs}::int8 from unnest(
      ${parked.map((each) => each.entry.sequence)}::int8[],
      ${parked.map((each) => each.entry.offset)}::int8[],
      ${parked.map((each) => each.tenantId)}::text[],
      ${parked.map((each) => each.stream)}::text[],
      ${parked.map((each) => each.incarnation)}::int4[],
      ${parked.map((each) => Buffer.from(each.entry.eventId))}::bytea[],
      ${parked.map((each) => Buffer.from(each.entry.value))}::bytea[],
      ${parked.map((each) => each.reason)}::text[]) as given`.execute(tx);
}

/** What is parked of a partition behind a sequence, ascending: what the breaker looks at. */
export async function readParkedPlaces<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
  behind: bigint,
): Promise<readonly ParkedPlace[]> {
  const { rows } = await sql<{ sequence: bigint; is_poison: boolean }>`
    select sequence, reason <> ${waitsBehind} as is_poison from parked_records
    where topic = ${topic} and partition = ${partition} and sequence > ${behind}
    order by sequence`.execute(tx);
  return rows.map((row) => ({ sequence: row.sequence, isPoison: row.is_poison }));
}

/** Streams of which nothing is parked any more. */
async function dropEmptyStreams<Schema>(tx: Transaction<Schema>): Promise<void> {
  await sql`delete from parked_streams as s where not exists (
    select 1 from parked_records as r where r.topic = s.topic and r.partition = s.partition
      and r.tenant_id = s.tenant_id and r.stream = s.stream)`.execute(tx);
}

/**
 * The owner tombstoned these record keys on the partition: a parked copy goes too. It is what reaches records that no
 * scope can be told of, and the last word for all others.
 */
export async function dropTombstoned<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
  recordKeys: readonly Uint8Array[],
): Promise<void> {
  const { numAffectedRows } = await sql`delete from parked_records
    where topic = ${topic} and partition = ${partition}
      and record_key = any(${recordKeys.map((each) => Buffer.from(each))}::bytea[])`.execute(tx);
  if ((numAffectedRows ?? 0n) > 0n) await dropEmptyStreams(tx);
}

/** An erased stream: all incarnations up to this one. */
export interface ErasedStreamName {
  readonly token: string;
  readonly incarnation: number;
}

/**
 * Drops what is parked of erased streams on the topics whose streams are of this kind; answers how many records. The
 * caller holds the tenant's fence lock exclusively, or the fences stood before its transaction began: then nothing of
 * these streams can be parked any more.
 */
export async function dropErased<Schema>(
  tx: Transaction<Schema>,
  tenantId: string,
  topics: readonly string[],
  streams: readonly ErasedStreamName[],
): Promise<number> {
  if (streams.length === 0 || topics.length === 0) return 0;
  const { numAffectedRows } = await sql`delete from parked_records as parked
    using ${erasedTable(streams)} where ${isErased(tenantId, topics)}`.execute(tx);
  const dropped = Number(numAffectedRows ?? 0n);
  if (dropped > 0) await dropEmptyStreams(tx);
  return dropped;
}

/** How many records `dropErased` would drop now. */
export async function countErased<Schema>(
  db: Kysely<Schema>,
  tenantId: string,
  topics: readonly string[],
  streams: readonly ErasedStreamName[],
): Promise<bigint> {
  const { rows } = await sql<{ records: bigint }>`select count(*) as records
    from parked_records as parked join ${erasedTable(streams)} on ${isErased(tenantId, topics)}`.execute(
    db,
  );
  return rows[0]?.records ?? 0n;
}

function erasedTable(streams: readonly ErasedStreamName[]) {
  return sql`unnest(${streams.map((each) => each.token)}::text[],
    ${streams.map((each) => each.incarnation)}::int4[]) as erased(token, incarnation)`;
}

function isErased(tenantId: string, topics: readonly string[]) {
  return sql`parked.tenant_id = ${tenantId} and parked.stream = erased.token
    and parked.incarnation <= erased.incarnation and parked.topic = any(${topics}::text[])`;
}
