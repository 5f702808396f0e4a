import { sql } from 'kysely';
import { readCheckpoints } from '@lethe/platform/consumer/checkpoints.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { type AnalyticsDatabase, firstPendingSequences } from '../store.ts';
import type { Sequences } from './completeness.ts';
import { partitionName } from './partition-name.ts';

/** What sequence questions need: how many partitions there are, and what was committed. */
export interface SequencePorts {
  readonly db: AnalyticsDatabase;
  readonly eventLog: Pick<EventLog, 'partitionsOf'>;
}

/** Per partition of a topic, the highest sequence that is committed, whoever committed it. */
export async function committedSequences(
  { db, eventLog }: SequencePorts,
  topic: string,
): Promise<readonly bigint[]> {
  const partitions = Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => ({
    topic,
    partition,
  }));
  return (await readCheckpoints(db, partitions)).map(({ sequence }) => sequence);
}

/**
 * Per partition, the highest sequence up to which everything lies in the ledger: what is committed, less what its
 * manifests have not inserted yet. Checkpoints are read first: a chunk that commits in between is among the pending
 * then, and never taken for inserted.
 */
export async function insertedSequences(
  ports: SequencePorts,
  topics: readonly string[],
): Promise<Sequences> {
  const inserted = new Map<string, bigint>();
  for (const topic of topics) {
    const committed = await committedSequences(ports, topic);
    committed.forEach((sequence, partition) => {
      inserted.set(partitionName(topic, partition), sequence);
    });
  }
  for (const { topic, partition, sequence } of await firstPendingSequences(ports.db)) {
    const name = partitionName(topic, partition);
    const committed = inserted.get(name) ?? 0n;
    inserted.set(name, committed < sequence ? committed : sequence - 1n);
  }
  return inserted;
}

/** A sequence below a checkpoint whose event is in no total. */
export interface UncountedSequence {
  readonly partition: number;
  readonly sequence: bigint;
}

/** What chunks of a topic passed over and no replay has counted since; newest first, by sequence. */
export async function uncountedSequences(
  db: AnalyticsDatabase,
  topic: string,
  sequencesMax: number,
): Promise<readonly UncountedSequence[]> {
  const { rows } = await sql<UncountedSequence>`select partition, sequence from manifest_skips
    where topic = ${topic} and folded_by is null
    order by sequence desc, partition limit ${sequencesMax}`.execute(db);
  return rows;
}
