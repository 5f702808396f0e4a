import type { AnalyticsSchema } from '@lethe/analytics/store.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { recordKeysAt, restoreRecords } from '@lethe/platform/event-log/sqlite-repair.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import { eventIdBytes, type EventId } from '@lethe/platform/ids/ids.ts';
import { recordErased } from '@lethe/platform/outbox/erased-ranges.ts';
import { dropPublished, eraseFromLog, settleCounter } from '@lethe/platform/outbox/repair.ts';
import { waitAgain } from '@lethe/platform/repair/mend-topic.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type Kysely, sql } from 'kysely';
import type { ApplyAhead } from './apply-ahead.ts';
import type { MendTopic, TopicDifferences } from './look-at-tables.ts';
import type { Differences } from './sequence-differences.ts';

export interface MendPorts {
  readonly logFile: string;
  readonly databases: Databases;
  /** Folds what the log has above the table into it. */
  readonly applyAhead: ApplyAhead;
  /** Publishes again, as new events, what every consumer of privacy.v1 must know. */
  readonly publishPrivacyAgain: () => Promise<void>;
}

interface Done {
  applied: number;
  unreadable: number;
  restored: number;
  gone: number;
  listed: number;
  erasedAgain: number;
}

/**
 * Makes log and tables of one topic fit. Each step is found undone and is done again when the process dies in it; the
 * counter, which is what the next comparison goes by, is settled last.
 */
export function createMendTopic(ports: MendPorts): MendTopic {
  return async (differences) => {
    const done: Done = {
      applied: 0,
      unreadable: 0,
      restored: 0,
      gone: 0,
      listed: 0,
      erasedAgain: 0,
    };
    for (const partition of differences.partitions) {
      await mendPartition(ports, differences, partition, done);
    }
    if (differences.owner === 'privacy' && done.gone > 0) await ports.publishPrivacyAgain();
    return doneText(differences, done);
  };
}

async function mendPartition(
  { logFile, databases, applyAhead }: MendPorts,
  { topic, owner }: TopicDifferences,
  found: Differences,
  done: Done,
): Promise<void> {
  const at = { topic, partition: found.partition };
  const db = databases.database<EventStoreSchema>(owner);
  const { counter, lost, unlisted, risen, overrun } = found;
  // 1. What the log lost and the tables have goes back where it was.
  const kept =
    owner === 'privacy' || owner === 'usage' ? [] : await keptRecords(db, at.partition, lost);
  const atLeast = { lastSequence: counter.lastPublished, nextOffset: overrun ?? 0n };
  restoreRecords(logFile, at, kept, atLeast);
  const restored = new Set(kept.map(({ sequence }) => sequence));
  const gone = lost.filter((sequence) => !restored.has(sequence));
  if (owner !== 'privacy') await forgetUncounted(databases, db, at, gone);
  // 2. What the log has above the table comes into it.
  const unreadable = found.isAhead
    ? await applyAhead(topic, at.partition, counter.lastSequence)
    : [];
  // 3. All that the tables must know of the log, at once.
  const published = sequencesBetween(counter.lastPublished, counter.lastSequence);
  await db.transaction().execute(async (tx) => {
    await recordErased(tx, topic, at.partition, [...gone, ...unlisted]);
    await eraseFromLog(tx, at, unreadable, recordKeysAt(logFile, at, unreadable));
    await eraseFromLog(tx, at, risen, recordKeysAt(logFile, at, risen));
    if (!found.isAhead) return;
    await dropPublished(tx, topic, recordKeysAt(logFile, at, published));
    await settleCounter(tx, at, found.lastOnLog);
    if (owner !== 'privacy') await waitAgain(tx, at.partition);
  });
  done.applied += found.isAhead ? Number(found.lastOnLog - counter.lastSequence) : 0;
  done.applied -= unreadable.length;
  done.unreadable += unreadable.length;
  done.restored += kept.length;
  done.gone += gone.length;
  done.listed += unlisted.length;
  done.erasedAgain += risen.length;
}

function sequencesBetween(after: bigint, last: bigint): bigint[] {
  return Array.from({ length: Number(last - after) }, (_, index) => after + 1n + BigInt(index));
}

/** The read model holds records as they went to the log. */
async function keptRecords(
  db: Kysely<EventStoreSchema>,
  partition: number,
  sequences: readonly bigint[],
) {
  if (sequences.length === 0) return [];
  const { rows } = await sql<{ sequence: bigint; record_id: string; record: Buffer }>`
    select sequence, record_id, record from event_index join records
      using (tenant_id, stream_token, stream_incarnation, position)
    where partition = ${partition} and sequence = any(${[...sequences]}::int8[])
    order by sequence`.execute(db);
  return rows.map(({ sequence, record_id: recordId, record }) => ({
    sequence,
    eventId: eventIdBytes(recordId as EventId),
    value: record,
    recordedAtMs: Number(LogRecord.decode(record).header?.recordedAtMs ?? 0n),
  }));
}

/**
 * Events whose records are gone for good and that analytics has not counted are forgotten, so that they can be sent
 * again; what was counted stays known, or it would be counted twice.
 */
async function forgetUncounted(
  databases: Databases,
  db: Kysely<EventStoreSchema>,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  gone: readonly bigint[],
): Promise<void> {
  if (gone.length === 0) return;
  const row = await databases
    .database<AnalyticsSchema>('analytics')
    .selectFrom('checkpoints')
    .select('sequence')
    .where('topic', '=', topic)
    .where('partition', '=', partition)
    .executeTakeFirst();
  const uncounted = gone.filter((sequence) => sequence > (row?.sequence ?? 0n));
  await sql`delete from event_index where partition = ${partition}
    and sequence = any(${uncounted}::int8[])`.execute(db);
}

function doneText({ topic }: TopicDifferences, done: Done): string {
  const { applied, unreadable, restored, gone, listed, erasedAgain } = done;
  const parts = [
    applied === 0 ? [] : `${applied} records of the log brought into the tables`,
    unreadable === 0
      ? []
      : `${unreadable} taken off the log, as their keys are lost: send those events again`,
    restored === 0 ? [] : `${restored} records put back on the log`,
    gone === 0 ? [] : `${gone} records are gone and listed as such`,
    listed === 0 ? [] : `${listed} erased records listed`,
    erasedAgain === 0 ? [] : `${erasedAgain} records erased again`,
  ].flat();
  return `${topic}: ${parts.length === 0 ? 'the log goes on where the consumers do' : parts.join('; ')}`;
}
