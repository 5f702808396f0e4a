import { type Kysely, sql } from 'kysely';

const rowsPerPage = 5_000;

/**
 * What the log cannot say and the live tables must not forget: the ids of erased events, so that a re-import of them
 * stays refused. In pages; answers how many there are.
 */
export async function keepErasedIds<Schema>(db: Kysely<Schema>): Promise<number> {
  let kept = 0;
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await sql<{ last: string | null; looked: bigint; kept: bigint }>`
      with page as (
        select * from event_index where record_id > ${after}::uuid
        order by record_id limit ${rowsPerPage}),
      erased as (
        insert into rebuild_event_index select * from page where stream_token is null
        on conflict (record_id) do nothing returning 1)
      select (select record_id from page order by record_id desc limit 1) as last,
        (select count(*) from page) as looked, (select count(*) from erased) as kept`.execute(db);
    const [page] = rows;
    kept += Number(page?.kept ?? 0n);
    if (page === undefined || page.last === null) return kept;
    after = page.last;
  }
}

/**
 * Of streams without state: how often a stream was written is no news to its readers, and how its events came in
 * batches is not on the log.
 */
export async function keepVersions<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`
    update rebuild_streams as fresh set version = live.version from streams as live
    where live.tenant_id = fresh.tenant_id and live.token = fresh.token
      and live.incarnation = fresh.incarnation`.execute(db);
}
