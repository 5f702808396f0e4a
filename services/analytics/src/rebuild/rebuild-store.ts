import { sql } from 'kysely';
import { limitLockWait } from '@lethe/platform/rebuild/table-locks.ts';
import type { FamilyName } from '../domain/families.ts';
import type { AnalyticsDatabase } from '../store.ts';
import type { ChunkPart, StoredChunk } from './chunks.ts';

/** Which chunks the fresh tables hold already. Its name marks it as work of a rebuild. */
export async function createWorkTable(db: AnalyticsDatabase): Promise<void> {
  await sql`create table rebuild_chunks (manifest_id uuid primary key)`.execute(db);
}

/** Answers whether there was one. Throws STORE_UNAVAILABLE when somebody, such as a dump, holds it. */
export async function dropWorkTable(db: AnalyticsDatabase): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select to_regclass(current_schema() || '.rebuild_chunks') is not null as present`.execute(db);
  if (rows[0]?.present !== true) return false;
  await db.transaction().execute(async (tx) => {
    await limitLockWait(tx);
    await sql`drop table rebuild_chunks`.execute(tx);
  });
  return true;
}

export async function noteChunks(
  db: AnalyticsDatabase,
  manifestIds: readonly string[],
): Promise<void> {
  if (manifestIds.length === 0) return;
  await sql`insert into rebuild_chunks select * from unnest(${manifestIds}::uuid[])
    on conflict do nothing`.execute(db);
}

/** Which of these manifests the fresh tables hold. */
export async function heldChunks(
  db: AnalyticsDatabase,
  manifestIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (manifestIds.length === 0) return new Set();
  const { rows } = await sql<{ manifest_id: string }>`
    select manifest_id from rebuild_chunks
    where manifest_id = any(${manifestIds}::uuid[])`.execute(db);
  return new Set(rows.map((row) => row.manifest_id));
}

/** Manifests that the fresh tables do not hold yet, oldest first. */
export async function missingChunks(
  db: AnalyticsDatabase,
  chunksMax: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ manifest_id: string }>`
    select manifest_id from chunk_manifests
    where not exists (select 1 from rebuild_chunks as held
      where held.manifest_id = chunk_manifests.manifest_id)
    order by committed_at_ms, manifest_id limit ${chunksMax}`.execute(db);
  return rows.map((row) => row.manifest_id);
}

/** Manifests without ranges: replays of parked records. */
export async function rangelessChunks(
  db: AnalyticsDatabase,
  after: string | undefined,
  chunksMax: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ manifest_id: string }>`
    select manifest_id from chunk_manifests as manifests
    where ${after === undefined ? sql`true` : sql`manifest_id > ${after}::uuid`}
      and not exists (select 1 from manifest_ranges
        where manifest_ranges.manifest_id = manifests.manifest_id)
    order by manifest_id limit ${chunksMax}`.execute(db);
  return rows.map((row) => row.manifest_id);
}

export async function countChunks(db: AnalyticsDatabase): Promise<number> {
  const { rows } = await sql<{ chunks: bigint }>`
    select count(*) as chunks from chunk_manifests`.execute(db);
  return Number(rows[0]?.chunks ?? 0n);
}

/** The next parts of a partition by rising sequence, as far as it was committed when the rebuild began. */
export async function nextParts(
  db: AnalyticsDatabase,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  after: bigint,
  upTo: bigint,
  partsMax: number,
): Promise<readonly ChunkPart[]> {
  const { rows } = await sql<{
    manifest_id: string;
    first_sequence: bigint;
    last_sequence: bigint;
  }>`
    select manifest_id, first_sequence, last_sequence from manifest_ranges
    where topic = ${topic} and partition = ${partition} and first_sequence > ${after}::int8
      and last_sequence <= ${upTo}::int8
    order by first_sequence limit ${partsMax}`.execute(db);
  return rows.map((row) => ({
    manifestId: row.manifest_id,
    topic,
    partition,
    firstSequence: row.first_sequence,
    lastSequence: row.last_sequence,
    place: 0,
  }));
}

/** All parts of a chunk, in the order in which its rows were stored. */
export async function partsOfChunk(
  db: AnalyticsDatabase,
  manifestId: string,
): Promise<readonly ChunkPart[]> {
  const { rows } = await sql<{
    topic: string;
    partition: number;
    first_sequence: bigint;
    last_sequence: bigint;
  }>`
    select topic, partition, first_sequence, last_sequence from manifest_ranges
    where manifest_id = ${manifestId} order by ctid`.execute(db);
  return rows.map((row, place) => ({
    manifestId,
    topic: row.topic,
    partition: row.partition,
    firstSequence: row.first_sequence,
    lastSequence: row.last_sequence,
    place,
  }));
}

/** The sequences of these parts that were parked instead of being folded there. */
export async function skippedIn(
  db: AnalyticsDatabase,
  parts: readonly ChunkPart[],
): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ topic: string; partition: number; sequence: bigint }>`
    select skips.topic, skips.partition, skips.sequence
    from unnest(${parts.map((part) => part.topic)}::text[],
      ${parts.map((part) => part.partition)}::int4[],
      ${parts.map((part) => part.firstSequence)}::int8[],
      ${parts.map((part) => part.lastSequence)}::int8[])
      as parts (topic, partition, first_sequence, last_sequence)
    join manifest_skips as skips on skips.topic = parts.topic
      and skips.partition = parts.partition
      and skips.sequence between parts.first_sequence and parts.last_sequence`.execute(db);
  return new Set(rows.map((row) => `${row.topic}/${row.partition}/${row.sequence}`));
}

export async function readChunk(db: AnalyticsDatabase, manifestId: string): Promise<StoredChunk> {
  const { rows } = await sql<{
    projection_version: number;
    decisions: Buffer;
    decision_count: number;
  }>`
    select projection_version, decisions, decision_count from chunk_manifests
    where manifest_id = ${manifestId}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new RangeError(`there is no manifest ${manifestId}`);
  const inserts = await sql<{
    family: FamilyName;
    month: number;
    row_count: number;
    sha256: Buffer;
    body: Buffer;
  }>`
    select family, month, row_count, sha256, body from manifest_inserts
    where manifest_id = ${manifestId} order by family, month`.execute(db);
  return {
    manifestId,
    projectionVersion: row.projection_version,
    decisionBits: row.decisions,
    decisionCount: row.decision_count,
    inserts: inserts.rows.map(({ family, month, row_count, sha256, body }) => {
      return { family, month, rows: row_count, sha256, body };
    }),
  };
}

/** Their rows are inserted again by whoever finishes pending manifests. */
export async function markPending(
  db: AnalyticsDatabase,
  manifestIds: readonly string[],
): Promise<void> {
  await sql`update chunk_manifests set state = 'pending'
    where manifest_id = any(${manifestIds}::uuid[])`.execute(db);
}
