import { sql, type Transaction } from 'kysely';
import { isToken, type TenantId, type Token } from '../ids/ids.ts';
import type { EventStoreSchema } from './tables.ts';

/** A ticket, or one incarnation of a person. */
export interface StreamKey {
  readonly token: Token;
  readonly incarnation: number;
}

export interface StreamRow extends StreamKey {
  readonly partition: number;
  /** Of its last event; 0 when none was stored yet. */
  readonly position: number;
  readonly openedAtMs: number;
  /** Of the state; rises with each change. */
  readonly version: number;
  /** A box. */
  readonly state: Buffer | undefined;
}

/** The map key of a stream. */
export function streamText({ token, incarnation }: StreamKey): string {
  return `${token}/${incarnation}`;
}

/** The partition of a stream whose first event this is; stored then, so that the topic may grow. */
export function partitionOf(token: Token, partitions: number): number {
  return Number.parseInt(token.slice(0, 8), 16) % partitions;
}

function byText(left: StreamKey, right: StreamKey): number {
  return streamText(left) < streamText(right) ? -1 : 1;
}

/**
 * Rows for streams that may begin in this transaction, so that two first events of one stream wait for each other.
 * Sorted, as every writer of stream rows is: none of them waits in a circle.
 */
export async function insertMissingStreams(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  keys: readonly StreamKey[],
  partitions: number,
): Promise<void> {
  if (keys.length === 0) return;
  const sorted = keys.toSorted(byText);
  await sql`
    insert into streams (tenant_id, token, incarnation, partition, position, opened_at_ms, version)
    select ${tenantId}, token, incarnation, partition, 0, 0, 0
    from unnest(${sorted.map((key) => key.token)}::text[], ${sorted.map((key) => key.incarnation)}::int4[],
      ${sorted.map((key) => partitionOf(key.token, partitions))}::int4[]) as missing (token, incarnation, partition)
    on conflict do nothing`.execute(tx);
}

/** Locks the rows of these tokens, all incarnations, sorted; by `streamText`. */
export async function lockStreams(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  tokens: readonly Token[],
): Promise<ReadonlyMap<string, StreamRow>> {
  const { rows } = await sql<EventStoreSchema['streams']>`
    select token, incarnation, partition, position, opened_at_ms, version, state from streams
    where tenant_id = ${tenantId} and token = any(${tokens}::text[])
    order by token, incarnation for update`.execute(tx);
  return new Map(
    rows.map((row) => {
      const stream = streamOfRow(row);
      return [streamText(stream), stream];
    }),
  );
}

/** A row as the engine sees it. */
export function streamOfRow(row: EventStoreSchema['streams']): StreamRow {
  if (!isToken(row.token)) throw new RangeError('a stream row without a token');
  return {
    token: row.token,
    incarnation: row.incarnation,
    partition: row.partition,
    position: Number(row.position),
    openedAtMs: Number(row.opened_at_ms),
    version: Number(row.version),
    state: row.state ?? undefined,
  };
}

/** Stores how far these streams have come. */
export async function updateStreams(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  streams: readonly StreamRow[],
): Promise<void> {
  if (streams.length === 0) return;
  await sql`
    update streams set position = moved.position, opened_at_ms = moved.opened_at_ms, version = moved.version,
      state = moved.state
    from unnest(${streams.map((stream) => stream.token)}::text[],
      ${streams.map((stream) => stream.incarnation)}::int4[], ${streams.map((stream) => stream.position)}::int8[],
      ${streams.map((stream) => stream.openedAtMs)}::int8[], ${streams.map((stream) => stream.version)}::int8[],
      ${streams.map((stream) => stream.state ?? null)}::bytea[])
      as moved (token, incarnation, position, opened_at_ms, version, state)
    where streams.tenant_id = ${tenantId} and streams.token = moved.token
      and streams.incarnation = moved.incarnation`.execute(tx);
}

/** Takes back the rows of `insertMissingStreams` that got no event. */
export async function deleteEmptyStreams(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  keys: readonly StreamKey[],
): Promise<void> {
  if (keys.length === 0) return;
  await sql`
    delete from streams where tenant_id = ${tenantId} and position = 0 and state is null
      and token = any(${keys.map((key) => key.token)}::text[])`.execute(tx);
}
