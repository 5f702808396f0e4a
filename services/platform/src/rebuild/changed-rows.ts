import { type Kysely, sql, type Transaction } from 'kysely';
import { changesOf, derivedTables, freshOf, keyList, sameKey } from './derived-tables.ts';

/**
 * Brings every row whose key was noted into the fresh tables as it stands in the live ones, or takes it out of them.
 * Keys and rows must be seen by one snapshot: in `repeatable read`, or under the locks of the swap. Answers how many
 * rows there were.
 */
export async function takeOverChanges<Schema>(tx: Transaction<Schema>): Promise<number> {
  let changed = 0;
  for (const table of derivedTables) {
    const keys = `(select distinct ${keyList(table)} from ${changesOf(table)}) as changed`;
    const fresh = freshOf(table);
    await sql
      .raw(`delete from ${fresh} using ${keys} where ${sameKey(table, fresh, 'changed')}`)
      .execute(tx);
    await sql
      .raw(
        `insert into ${fresh} select live.* from ${table.name} as live
         join ${keys} on ${sameKey(table, 'live', 'changed')}`,
      )
      .execute(tx);
    const { rows } = await sql
      .raw<{ changed: bigint }>(`select count(*) as changed from ${keys}`)
      .execute(tx);
    changed += Number(rows[0]?.changed ?? 0n);
    await sql.raw(`delete from ${changesOf(table)}`).execute(tx);
  }
  return changed;
}

/**
 * Notes the rows of records that wait in the outbox: they are not on the log yet, or not known to be. To be called
 * after the fresh tables were created and **before** the log is asked where it ends: what was no longer in the outbox
 * then is below that end, and what comes to it later is noted by the triggers.
 */
export async function notePending<Schema>(db: Kysely<Schema>, topic: string): Promise<void> {
  await sql`insert into rebuild_changes_event_index (record_id)
    select encode(event_id, 'hex')::uuid from outbox where topic = ${topic} and kind = 1`.execute(
    db,
  );
  await noteStreams(
    db,
    sql`select indexed.tenant_id, indexed.stream_token as token,
        indexed.stream_incarnation as incarnation
      from outbox join event_index as indexed
        on indexed.record_id = encode(outbox.event_id, 'hex')::uuid
      where outbox.topic = ${topic} and outbox.kind = 1 and indexed.stream_token is not null`,
  );
}

/**
 * Notes all rows of the streams that a fence stands for, and what counts boxes of fenced persons: erasure removes or
 * has removed them, and the live tables know how far it has come. Answers how many such streams there still are.
 */
export async function noteFenced<Schema>(
  db: Kysely<Schema>,
  streamKind: 'ticket' | 'person',
): Promise<number> {
  const fenced = sql`select distinct streams.tenant_id, streams.token, streams.incarnation
    from (select tenant_id, token, incarnation from streams
      union select tenant_id, token, incarnation from rebuild_streams) as streams
    join fences on fences.tenant_id = streams.tenant_id
      and fences.scope = ${streamKind} || '/' || streams.token
      and streams.incarnation <= fences.incarnation`;
  await noteStreams(db, fenced);
  await sql`insert into rebuild_changes_person_boxes
    select boxes.tenant_id, person_token, person_incarnation, stream_token, stream_incarnation
    from rebuild_person_boxes as boxes join fences on fences.tenant_id = boxes.tenant_id
      and fences.scope = 'person/' || boxes.person_token
      and boxes.person_incarnation <= fences.incarnation`.execute(db);
  const { rows } = await sql<{ streams: bigint }>`
    select count(*) as streams from streams join fences on fences.tenant_id = streams.tenant_id
      and fences.scope = ${streamKind} || '/' || streams.token
      and streams.incarnation <= fences.incarnation`.execute(db);
  return Number(rows[0]?.streams ?? 0n);
}

/**
 * The same for rows that differed when they were compared, to be called under the locks of the swap: a row that the log
 * has and the live tables lack is removed by no erasure and noted by no trigger, so one that was fenced meanwhile would
 * come back with it. Bounded by what differs.
 */
export async function noteFencedSuspects<Schema>(
  tx: Transaction<Schema>,
  streamKind: 'ticket' | 'person',
): Promise<void> {
  const ofStream = (token: string, incarnation: string) =>
    sql.raw(`fences.tenant_id = suspects.tenant_id and fences.scope = '${streamKind}/' || ${token}
      and ${incarnation} <= fences.incarnation`);
  const ofRows = ofStream('suspects.stream_token', 'suspects.stream_incarnation');
  await sql`insert into rebuild_changes_streams select suspects.*
    from rebuild_suspects_streams as suspects
    join fences on ${ofStream('suspects.token', 'suspects.incarnation')}`.execute(tx);
  await sql`insert into rebuild_changes_event_index select suspects.record_id
    from rebuild_suspects_event_index as noted
    join rebuild_event_index as suspects on suspects.record_id = noted.record_id
    join fences on ${ofRows}`.execute(tx);
  await sql`insert into rebuild_changes_records select suspects.*
    from rebuild_suspects_records as suspects join fences on ${ofRows}`.execute(tx);
  await sql`insert into rebuild_changes_person_boxes select suspects.*
    from rebuild_suspects_person_boxes as suspects join fences on ${ofRows}`.execute(tx);
  await sql`insert into rebuild_changes_person_boxes select suspects.*
    from rebuild_suspects_person_boxes as suspects
    join fences on fences.tenant_id = suspects.tenant_id
      and fences.scope = 'person/' || suspects.person_token
      and suspects.person_incarnation <= fences.incarnation`.execute(tx);
}

/** Notes streams by their keys, with everything that belongs to them. */
export async function noteStreamKeys<Schema>(
  db: Kysely<Schema>,
  keys: readonly {
    readonly tenantId: string;
    readonly token: string;
    readonly incarnation: number;
  }[],
): Promise<void> {
  if (keys.length === 0) return;
  await noteStreams(
    db,
    sql`select tenant_id, token, incarnation from unnest(
      ${keys.map((stream) => stream.tenantId)}::text[], ${keys.map((stream) => stream.token)}::text[],
      ${keys.map((stream) => stream.incarnation)}::int4[]) as given (tenant_id, token, incarnation)`,
  );
}

async function noteStreams<Schema>(
  db: Kysely<Schema>,
  streams: ReturnType<typeof sql>,
): Promise<void> {
  await sql`insert into rebuild_changes_streams
    select tenant_id, token, incarnation from (${streams}) as noted`.execute(db);
  for (const prefix of ['', 'rebuild_']) {
    const join = sql`join (${streams}) as noted on noted.tenant_id = rows.tenant_id
      and noted.token = rows.stream_token and noted.incarnation = rows.stream_incarnation`;
    await sql`insert into rebuild_changes_event_index select rows.record_id
      from ${sql.table(`${prefix}event_index`)} as rows ${join}`.execute(db);
    await sql`insert into rebuild_changes_records
      select rows.tenant_id, rows.stream_token, rows.stream_incarnation, rows.position
      from ${sql.table(`${prefix}records`)} as rows ${join}`.execute(db);
    await sql`insert into rebuild_changes_person_boxes
      select rows.tenant_id, rows.person_token, rows.person_incarnation, rows.stream_token,
        rows.stream_incarnation
      from ${sql.table(`${prefix}person_boxes`)} as rows ${join}`.execute(db);
  }
}
