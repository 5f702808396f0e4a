import { type Kysely, sql } from 'kysely';
import { readCheckpoints } from '../consumer/checkpoints.ts';
import type { EventLog, LogEntry } from '../event-log/port.ts';
import { partitionOf } from '../event-store/streams.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import { poisonReasonOf } from '../parking/poison.ts';
import { noteStreamKeys } from './changed-rows.ts';
import { unconfirmed } from './derived-tables.ts';
import { type ReadRecord, readLogRecord } from './log-record.ts';
import { readTopic } from './read-topic.ts';
import type { RebuildRules } from './rules.ts';

export interface ObservedPorts {
  readonly db: Kysely<EventStoreSchema>;
  readonly eventLog: EventLog;
  readonly group: string;
  /**
   * Of the owner's own topic: a stream that was only observed lies where its first event will. Where the live row says
   * another partition, the topic had fewer when the stream was first observed; the log says nothing of it.
   */
  readonly partitions: number;
  readonly signal: AbortSignal;
}

/**
 * Keeps, of each stream, the last record of another owner's topic that this service has consumed and that its states
 * say something of; still sealed. A stream that was only observed begins with it, as it does live.
 */
export async function loadObserved<State>(
  ports: ObservedPorts,
  { topic, types }: NonNullable<RebuildRules<State>['observed']>,
): Promise<void> {
  const { db, eventLog, group, signal } = ports;
  const partitions = Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => ({
    topic,
    partition,
  }));
  // Not to the end of the log: the live states say what was consumed, no more.
  const ends = (await readCheckpoints(db, partitions)).map(({ nextOffset }) => nextOffset);
  for await (const { partition, entries } of readTopic(eventLog, { group, topic, ends, signal })) {
    const read = entries.flatMap((entry) =>
      entry.kind === 'record' ? (readOrNothing(topic, partition, entry) ?? []) : [],
    );
    await keepLast(
      ports,
      read.filter(({ type, resealed }) => types.has(type) && !resealed),
    );
  }
  await leaveOutParked(db, topic);
}

/** What is no record is parked, and so is what follows it: see `leaveOutParked`. */
function readOrNothing(
  topic: string,
  partition: number,
  entry: Extract<LogEntry, { kind: 'record' }>,
): ReadRecord | undefined {
  try {
    return readLogRecord(topic, partition, entry);
  } catch (error) {
    if (poisonReasonOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Streams of which something is parked know only what came before it: they are taken over as they stand. */
async function leaveOutParked(db: Kysely<EventStoreSchema>, topic: string): Promise<void> {
  const { rows: found } = await sql<{ present: boolean }>`
    select to_regclass(current_schema() || '.parked_streams') is not null as present`.execute(db);
  if (found[0]?.present !== true) return;
  const { rows } = await sql<{ tenant_id: string; token: string; incarnation: number }>`
    select streams.tenant_id, streams.token, streams.incarnation
    from rebuild_streams as streams join parked_streams as parked
      on parked.tenant_id = streams.tenant_id and parked.stream = streams.token
    where parked.topic = ${topic}`.execute(db);
  await noteStreamKeys(
    db,
    rows.map((row) => ({ ...row, tenantId: row.tenant_id })),
  );
}

async function keepLast(
  { db, partitions }: ObservedPorts,
  read: readonly ReadRecord[],
): Promise<void> {
  const last = new Map(read.map((record) => [`${record.tenantId}/${record.streamToken}`, record]));
  const records = [...last.values()];
  if (records.length === 0) return;
  const tenantIds = records.map((record) => record.tenantId);
  const tokens = records.map((record) => record.streamToken);
  await db.transaction().execute(async (tx) => {
    await sql`
      insert into rebuild_observed (tenant_id, token, record)
      select * from unnest(${tenantIds}::text[], ${tokens}::text[],
        ${records.map((record) => record.bytes)}::bytea[])
      on conflict (tenant_id, token) do update set record = excluded.record`.execute(tx);
    await sql`
      insert into rebuild_streams (tenant_id, token, incarnation, partition, position, opened_at_ms, version, state)
      select given.tenant_id, given.token, given.incarnation, coalesce(live.partition, given.partition), 0, 0, 0,
        ${unconfirmed}::bytea
      from unnest(${tenantIds}::text[], ${tokens}::text[],
        ${records.map((record) => record.streamIncarnation)}::int4[],
        ${tokens.map((token) => partitionOf(token, partitions))}::int4[])
        as given (tenant_id, token, incarnation, partition)
      left join streams as live on live.tenant_id = given.tenant_id and live.token = given.token
        and live.incarnation = given.incarnation
      on conflict do nothing`.execute(tx);
  });
}
