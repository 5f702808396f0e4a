import { sql, type Transaction } from 'kysely';
import { streamText } from '../event-store/streams.ts';
import { addToFreshBoxes } from './fresh-boxes.ts';
import { unconfirmed } from './derived-tables.ts';
import { personParts, type ReadRecord } from './log-record.ts';

export interface LoadWish {
  readonly keepsRecords: boolean;
  /** Streams with state are folded afterwards, and others' boxes in them are counted then. */
  readonly hasState: boolean;
}

/**
 * Puts a batch of records into the fresh tables. What the live index lists as erased is left out: its tombstone may
 * not have reached the log yet. An index row's digest is of what the caller sent, which the log does not hold: it is
 * taken from the live row; without one it is empty, as in a row that `lethe repair` mended: a repeat is a duplicate.
 */
export async function loadRecords<Schema>(
  tx: Transaction<Schema>,
  read: readonly ReadRecord[],
  { keepsRecords, hasState }: LoadWish,
): Promise<void> {
  // Of an event that was sealed again in this batch, the last record.
  const records = [...new Map(read.map((record) => [record.recordId, record])).values()];
  if (records.length === 0) return;
  const kept = await insertIndexRows(tx, records);
  if (kept.length === 0) return;
  if (keepsRecords) await insertRecords(tx, kept);
  await raiseStreams(tx, kept, hasState);
  if (!hasState) await addToFreshBoxes(tx, kept.flatMap(othersBoxes));
}

async function insertIndexRows<Schema>(
  tx: Transaction<Schema>,
  records: readonly ReadRecord[],
): Promise<readonly ReadRecord[]> {
  const { rows } = await sql<{ record_id: string }>`
    insert into rebuild_event_index (record_id, tenant_id, event_id, stream_token, stream_incarnation, position,
      partition, sequence, digest)
    select given.*, coalesce(live.digest, ''::bytea)
    from unnest(${records.map((record) => record.recordId)}::uuid[],
      ${records.map((record) => record.tenantId)}::text[],
      ${records.map((record) => record.eventId)}::uuid[],
      ${records.map((record) => record.streamToken)}::text[],
      ${records.map((record) => record.streamIncarnation)}::int4[],
      ${records.map((record) => record.position)}::int8[],
      ${records.map((record) => record.partition)}::int4[],
      ${records.map((record) => record.sequence)}::int8[])
      as given (record_id, tenant_id, event_id, stream_token, stream_incarnation, position, partition, sequence)
    left join event_index as live on live.record_id = given.record_id
    where live.record_id is null or live.stream_token is not null
    on conflict (record_id) do update set sequence = excluded.sequence
    returning record_id`.execute(tx);
  const kept = new Set(rows.map((row) => row.record_id));
  return records.filter(({ recordId }) => kept.has(recordId));
}

async function insertRecords<Schema>(
  tx: Transaction<Schema>,
  records: readonly ReadRecord[],
): Promise<void> {
  await sql`
    insert into rebuild_records (tenant_id, stream_token, stream_incarnation, position, record)
    select * from unnest(${records.map((record) => record.tenantId)}::text[],
      ${records.map((record) => record.streamToken)}::text[],
      ${records.map((record) => record.streamIncarnation)}::int4[],
      ${records.map((record) => record.position)}::int8[],
      ${records.map((record) => record.bytes)}::bytea[])
    on conflict (tenant_id, stream_token, stream_incarnation, position)
      do update set record = excluded.record`.execute(tx);
}

/** How far each stream has come with these records. */
async function raiseStreams<Schema>(
  tx: Transaction<Schema>,
  records: readonly ReadRecord[],
  hasState: boolean,
): Promise<void> {
  const heads = new Map<string, { readonly last: ReadRecord; readonly openedAtMs: number }>();
  for (const record of records) {
    const key = { token: record.streamToken, incarnation: record.streamIncarnation };
    const text = `${record.tenantId}/${streamText(key)}`;
    const known = heads.get(text);
    const last = known === undefined || record.position > known.last.position ? record : known.last;
    const openedAtMs = record.position === 1 ? record.occurredAtMs : (known?.openedAtMs ?? 0);
    heads.set(text, { last, openedAtMs });
  }
  const streams = [...heads.values()];
  await sql`
    insert into rebuild_streams as fresh (tenant_id, token, incarnation, partition, position, opened_at_ms, version,
      state)
    select given.*, 0, ${hasState ? unconfirmed : null}::bytea
    from unnest(${streams.map(({ last }) => last.tenantId)}::text[],
      ${streams.map(({ last }) => last.streamToken)}::text[],
      ${streams.map(({ last }) => last.streamIncarnation)}::int4[],
      ${streams.map(({ last }) => last.partition)}::int4[],
      ${streams.map(({ last }) => last.position)}::int8[],
      ${streams.map(({ openedAtMs }) => openedAtMs)}::int8[]) as given
    on conflict (tenant_id, token, incarnation) do update set
      position = greatest(fresh.position, excluded.position),
      opened_at_ms = greatest(fresh.opened_at_ms, excluded.opened_at_ms)`.execute(tx);
}

function othersBoxes(record: ReadRecord) {
  const { tenantId, streamToken, streamIncarnation } = record;
  const stream = { token: streamToken, incarnation: streamIncarnation };
  return personParts(record.record)
    .filter((person) => streamText(person) !== streamText(stream))
    .map((person) => ({ tenantId, person, stream }));
}
