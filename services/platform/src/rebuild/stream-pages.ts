import { type Kysely, sql } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { TenantId } from '../ids/ids.ts';
import { type StreamKey, streamOfRow, type StreamRow, streamText } from '../event-store/streams.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import { unconfirmed } from './derived-tables.ts';

/** A stream of the fresh tables, with what is needed to fold it and to compare its state. */
export interface StreamToFold extends StreamKey {
  readonly tenantId: TenantId;
  /** The live row as it stands now. */
  readonly live: StreamRow | undefined;
  /** By rising position: those of the log, and those that were appended since it was read. */
  readonly records: readonly LogRecord[];
  /** The last record of another owner's topic that the state says something of. */
  readonly observed: LogRecord | undefined;
}

interface PageRow {
  readonly tenant_id: TenantId;
  readonly token: string;
  readonly incarnation: number;
  readonly position: bigint;
  readonly observed: Buffer | null;
  readonly has_live: boolean;
  readonly live_partition: number;
  readonly live_position: bigint;
  readonly live_opened_at_ms: bigint;
  readonly live_version: bigint;
  readonly live_state: Buffer | null;
}

interface RecordRow {
  readonly tenant_id: string;
  readonly stream_token: string;
  readonly stream_incarnation: number;
  readonly position: bigint;
  readonly record: Buffer;
}

/** So that a page of long tickets, or of tickets with large messages, stays some megabytes. */
const recordsPerPage = 2_000;
const bytesPerPage = 16 * 1024 * 1024;
const streamsPerPage = 500;

/** Which streams: all of them in pages, or those whose state could not be confirmed. */
export type StreamsWanted = 'all' | 'unconfirmed';

/** The next page of streams by key, with at least one; empty at the end. */
export async function nextStreamPage(
  db: Kysely<EventStoreSchema>,
  wanted: StreamsWanted,
  after: StreamToFold | undefined,
): Promise<readonly StreamToFold[]> {
  const rows = await pageRows(db, wanted, after);
  if (rows.length === 0) return [];
  const records = await recordsOf(db, rows);
  return rows.map((row) => {
    const live = row.has_live ? liveRow(row) : undefined;
    const { token, incarnation } = streamOfRow({ ...rowWithoutState, ...row });
    const found = records.get(streamText({ token, incarnation }) + row.tenant_id) ?? [];
    const observed = row.observed === null ? undefined : LogRecord.decode(row.observed);
    return { tenantId: row.tenant_id, token, incarnation, live, records: found, observed };
  });
}

const rowWithoutState = { partition: 0, opened_at_ms: 0n, version: 0n, state: null };

function liveRow(row: PageRow): StreamRow {
  return streamOfRow({
    tenant_id: row.tenant_id,
    token: row.token,
    incarnation: row.incarnation,
    partition: row.live_partition,
    position: row.live_position,
    opened_at_ms: row.live_opened_at_ms,
    version: row.live_version,
    state: row.live_state,
  });
}

async function pageRows(
  db: Kysely<EventStoreSchema>,
  wanted: StreamsWanted,
  after: StreamToFold | undefined,
): Promise<readonly PageRow[]> {
  const beyond =
    after === undefined
      ? sql`true`
      : sql`(tenant_id, token, incarnation) > (${after.tenantId}::text, ${after.token}::text, ${after.incarnation}::int4)`;
  const which = wanted === 'all' ? sql`true` : sql`state = ${unconfirmed}`;
  const { rows } = await sql<PageRow>`
    select * from (
      select fresh.tenant_id, fresh.token, fresh.incarnation, fresh.position, observed.record as observed,
        live.token is not null as has_live, live.partition as live_partition, live.position as live_position,
        live.opened_at_ms as live_opened_at_ms, live.version as live_version, live.state as live_state,
        row_number() over by_key as place, sum(fresh.position) over by_key as weight,
        sum(kept.bytes) over by_key as bytes
      from (select * from rebuild_streams where ${beyond} and ${which}
        order by tenant_id, token, incarnation limit ${streamsPerPage}) as fresh
      left join streams as live on live.tenant_id = fresh.tenant_id and live.token = fresh.token
        and live.incarnation = fresh.incarnation
      left join rebuild_observed as observed on observed.tenant_id = fresh.tenant_id
        and observed.token = fresh.token
      cross join lateral (
        select coalesce(sum(octet_length(record)), 0) as bytes from rebuild_records as kept
        where kept.tenant_id = fresh.tenant_id and kept.stream_token = fresh.token
          and kept.stream_incarnation = fresh.incarnation) as kept
      window by_key as (order by fresh.tenant_id, fresh.token, fresh.incarnation)) as page
    where place = 1 or (weight <= ${recordsPerPage} and bytes <= ${bytesPerPage}) order by place`.execute(
    db,
  );
  return rows;
}

/** By stream and tenant. What was appended after the log was read lies in the live table. */
async function recordsOf(
  db: Kysely<EventStoreSchema>,
  page: readonly PageRow[],
): Promise<ReadonlyMap<string, readonly LogRecord[]>> {
  const streams = sql`unnest(${page.map((row) => row.tenant_id)}::text[],
    ${page.map((row) => row.token)}::text[], ${page.map((row) => row.incarnation)}::int4[],
    ${page.map((row) => row.position)}::int8[],
    ${page.map((row) => (row.has_live ? row.live_position : 0n))}::int8[])
    as page (tenant_id, token, incarnation, fresh_position, live_position)`;
  const columns = sql`kept.tenant_id, kept.stream_token, kept.stream_incarnation, kept.position, kept.record`;
  const on = sql`kept.tenant_id = page.tenant_id and kept.stream_token = page.token
    and kept.stream_incarnation = page.incarnation`;
  const { rows } = await sql<RecordRow>`
    select ${columns} from ${streams} join rebuild_records as kept on ${on}
    union all
    select ${columns} from ${streams} join records as kept on ${on}
      and kept.position > page.fresh_position and kept.position <= page.live_position
    order by 1, 2, 3, 4`.execute(db);
  const found = new Map<string, LogRecord[]>();
  for (const row of rows) {
    const text = `${row.stream_token}/${row.stream_incarnation}${row.tenant_id}`;
    const known = found.get(text);
    const record = LogRecord.decode(row.record);
    if (known === undefined) found.set(text, [record]);
    else known.push(record);
  }
  return found;
}
