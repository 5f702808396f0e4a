import { type Kysely, sql } from 'kysely';
import { readCheckpoints } from '../consumer/checkpoints.ts';
import type { EventLog } from '../event-log/port.ts';
import { partitionOf } from '../event-store/streams.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import { unconfirmed } from './derived-tables.ts';
import { type ReadRecord, readLogRecord } from './log-record.ts';
import { readTopic } from './read-topic.ts';
import type { RebuildRules } from './rules.ts';

export interface ObservedPorts {
  readonly db: Kysely<EventStoreSchema>;
  readonly eventLog: EventLog;
  readonly group: string;
  /** Of the owner's own topic: a stream that was only observed lies where its first event will. */
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
      entry.kind === 'record' ? [readLogRecord(topic, partition, entry)] : [],
    );
    await keepLast(
      ports,
      read.filter(({ type, resealed }) => types.has(type) && !resealed),
    );
  }
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
      select given.*, 0, 0, 0, ${unconfirmed}::bytea
      from unnest(${tenantIds}::text[], ${tokens}::text[],
        ${records.map((record) => record.streamIncarnation)}::int4[],
        ${tokens.map((token) => partitionOf(token, partitions))}::int4[]) as given
      on conflict do nothing`.execute(tx);
  });
}
