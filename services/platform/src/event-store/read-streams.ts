import { type Kysely, sql } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { scopeText, type TenantId, type Token } from '../ids/ids.ts';
import { type StreamKey, type StreamRow, streamOfRow } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

/** A ticket's stream, or why there is none. */
export type FoundStream =
  | { readonly kind: 'found'; readonly stream: StreamRow }
  | { readonly kind: 'erased' }
  | { readonly kind: 'unknown' };

/** Looks a ticket up within the tenant; a fence outlives the rows that it removed. */
export async function findTicketStream(
  db: Kysely<EventStoreSchema>,
  tenantId: TenantId,
  token: Token,
): Promise<FoundStream> {
  const fence = await db
    .selectFrom('fences')
    .select('incarnation')
    .where('tenant_id', '=', tenantId)
    .where('scope', '=', scopeText({ kind: 'ticket', token }))
    .executeTakeFirst();
  if (fence !== undefined) return { kind: 'erased' };
  const row = await db
    .selectFrom('streams')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('token', '=', token)
    .orderBy('incarnation', 'desc')
    .executeTakeFirst();
  return row === undefined ? { kind: 'unknown' } : { kind: 'found', stream: streamOfRow(row) };
}

/** Where a page of streams begins: after this one. */
export interface StreamPageStart {
  readonly openedAtMs: number;
  readonly token: Token;
}

/** Streams by the time of their first event, newest first; ties by token. At most `limit`. */
export async function listStreams(
  db: Kysely<EventStoreSchema>,
  tenantId: TenantId,
  after: StreamPageStart | undefined,
  limit: number,
): Promise<readonly StreamRow[]> {
  let query = db.selectFrom('streams').selectAll().where('tenant_id', '=', tenantId);
  if (after !== undefined) {
    query = query.where(
      sql<boolean>`(opened_at_ms, token) < (${after.openedAtMs}::int8, ${after.token})`,
    );
  }
  const rows = await query
    .orderBy('opened_at_ms', 'desc')
    .orderBy('token', 'desc')
    .limit(limit)
    .execute();
  return rows.map(streamOfRow);
}

/** How many bytes the records of a stream have in all. */
export async function recordBytesOf(
  db: Kysely<EventStoreSchema>,
  tenantId: TenantId,
  stream: StreamKey,
): Promise<number> {
  const { rows } = await sql<{ bytes: bigint | null }>`
    select sum(length(record))::int8 as bytes from records
    where tenant_id = ${tenantId} and stream_token = ${stream.token}
      and stream_incarnation = ${stream.incarnation}`.execute(db);
  return Number(rows[0]?.bytes ?? 0n);
}

/** The records of a stream by rising position. */
export async function readRecords(
  db: Kysely<EventStoreSchema>,
  tenantId: TenantId,
  stream: StreamKey,
): Promise<readonly LogRecord[]> {
  const rows = await db
    .selectFrom('records')
    .select('record')
    .where('tenant_id', '=', tenantId)
    .where('stream_token', '=', stream.token)
    .where('stream_incarnation', '=', stream.incarnation)
    .orderBy('position')
    .execute();
  return rows.map((row) => LogRecord.decode(row.record));
}

/** The first record of each stream, by token. */
export async function readFirstRecords(
  db: Kysely<EventStoreSchema>,
  tenantId: TenantId,
  streams: readonly StreamKey[],
): Promise<ReadonlyMap<string, LogRecord>> {
  const { rows } = await sql<{ stream_token: string; record: Buffer }>`
    select stream_token, record from records
    where tenant_id = ${tenantId} and stream_token = any(${streams.map((one) => one.token)}::text[])
      and position = 1 order by stream_incarnation`.execute(db);
  return new Map(rows.map((row) => [row.stream_token, LogRecord.decode(row.record)]));
}
