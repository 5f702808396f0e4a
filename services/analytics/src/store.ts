import { createHash } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { ConsumerSchema } from '@lethe/platform/consumer/tables.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { ContributionCounter, CounterId, Decisions } from './domain/accept.ts';
import { type FamilyName, projectionVersion } from './domain/families.ts';
import type { LedgerInsert } from './domain/ledger-rows.ts';

/** The statements of this service are written out; the query builder knows the tables of the platform's own rooms. */
export type AnalyticsSchema = ConsumerSchema;
export type AnalyticsDatabase = Kysely<AnalyticsSchema>;
export type AnalyticsTransaction = Transaction<AnalyticsSchema>;

/** The part of a chunk that lies in one partition. */
export interface CoveredRange {
  readonly topic: string;
  readonly partition: number;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
  /** Fewer than the range is long when an erasure removed some. */
  readonly records: number;
}

export interface Manifest {
  readonly manifestId: string;
  readonly committedAtMs: number;
  readonly ranges: readonly CoveredRange[];
  readonly decisions: Decisions;
  readonly inserts: readonly LedgerInsert[];
}

interface CounterRow {
  readonly counter_key: string;
  readonly accepted: number;
  readonly is_full: boolean;
  readonly cells: string;
}

type CounterEntry = readonly [counterKey: string, id: CounterId];

/** The one order in which counters are locked, so that no two transactions wait for each other. */
function inLockOrder(counters: ReadonlyMap<string, CounterId>): readonly CounterEntry[] {
  return [...counters].toSorted(([left], [right]) => (left < right ? -1 : 1));
}

function columnsOfIds(entries: readonly CounterEntry[]) {
  return sql`unnest(
    ${entries.map(([counterKey]) => counterKey)}::text[],
    ${entries.map(([, id]) => id.tenantId)}::text[],
    ${entries.map(([, id]) => id.family)}::text[],
    ${entries.map(([, id]) => id.grain)}::text[],
    ${entries.map(([, id]) => id.month)}::int4[],
    ${entries.map(([, id]) => id.contributor)}::text[])
    with ordinality as given(counter_key, tenant_id, family, grain, month, contributor, place)`;
}

/**
 * Locks these counters until the transaction ends and answers what they hold. A missing one is created first: two
 * transactions that both found nothing would otherwise both accept.
 */
export async function lockCounters(
  tx: AnalyticsTransaction,
  counters: ReadonlyMap<string, CounterId>,
): Promise<Map<string, ContributionCounter>> {
  if (counters.size === 0) return new Map();
  const entries = inLockOrder(counters);
  await sql`insert into contribution_counters
      (tenant_id, family, grain, month, contributor, accepted, is_full, cells)
    select tenant_id, family, grain, month, contributor, 0, false, ''
    from ${columnsOfIds(entries)} order by place
    on conflict (tenant_id, family, grain, month, contributor) do nothing`.execute(tx);
  // A later statement, whose snapshot sees what the waiting above waited for.
  const { rows } = await sql<CounterRow>`
    select given.counter_key, held.accepted, held.is_full, held.cells
    from ${columnsOfIds(entries)}
    join contribution_counters as held using (tenant_id, family, grain, month, contributor)
    order by place for update of held`.execute(tx);
  return new Map(rows.map((row) => [row.counter_key, counterOf(row)]));
}

function counterOf({ accepted, is_full: isFull, cells }: CounterRow): ContributionCounter {
  return { accepted, isFull, cells: cells === '' ? [] : cells.split(' ') };
}

/** Stores counters that `lockCounters` locked in this transaction. */
export async function storeCounters(
  tx: AnalyticsTransaction,
  ids: ReadonlyMap<string, CounterId>,
  changed: ReadonlyMap<string, ContributionCounter>,
): Promise<void> {
  const entries = inLockOrder(ids).filter(([counterKey]) => changed.has(counterKey));
  if (entries.length === 0) return;
  const counters = entries.map(([counterKey]) => changed.get(counterKey));
  await sql`update contribution_counters as held
    set accepted = new.accepted, cells = new.cells
    from ${columnsOfIds(entries)}
    join unnest(
      ${counters.map((counter) => counter?.accepted ?? 0)}::int2[],
      ${counters.map((counter) => counter?.cells.join(' ') ?? '')}::text[])
      with ordinality as new(accepted, cells, place) using (place)
    where held.tenant_id = given.tenant_id and held.family = given.family
      and held.grain = given.grain and held.month = given.month
      and held.contributor = given.contributor`.execute(tx);
}

/**
 * Marks counters full: nothing more of these people is accepted. What was accepted stays; its cells are forgotten.
 * Locks as the projection does, so that the two wait for each other instead of deadlocking.
 */
export async function markCountersFull(
  tx: AnalyticsTransaction,
  counters: ReadonlyMap<string, CounterId>,
): Promise<void> {
  if (counters.size === 0) return;
  await lockCounters(tx, counters);
  await sql`update contribution_counters as held set is_full = true, cells = ''
    from ${columnsOfIds(inLockOrder(counters))}
    where held.tenant_id = given.tenant_id and held.family = given.family
      and held.grain = given.grain and held.month = given.month
      and held.contributor = given.contributor`.execute(tx);
}

/** Stores a manifest; it is done at once when it has nothing to insert. */
export async function insertManifest(tx: AnalyticsTransaction, manifest: Manifest): Promise<void> {
  const { manifestId, ranges, decisions, inserts } = manifest;
  const state = inserts.length === 0 ? 'done' : 'pending';
  await sql`insert into chunk_manifests
      (manifest_id, projection_version, state, committed_at_ms, decision_count, decisions)
    values (${manifestId}, ${projectionVersion}, ${state}, ${manifest.committedAtMs},
      ${decisions.count}, ${Buffer.from(decisions.bits)})`.execute(tx);
  await sql`insert into manifest_ranges
      (topic, partition, first_sequence, last_sequence, records, manifest_id)
    select topic, partition, first_sequence, last_sequence, records, ${manifestId}::uuid
    from unnest(
      ${ranges.map(({ topic }) => topic)}::text[],
      ${ranges.map(({ partition }) => partition)}::int4[],
      ${ranges.map(({ firstSequence }) => firstSequence)}::int8[],
      ${ranges.map(({ lastSequence }) => lastSequence)}::int8[],
      ${ranges.map(({ records }) => records)}::int4[])
      as given(topic, partition, first_sequence, last_sequence, records)`.execute(tx);
  for (const { family, month, rows, body } of inserts) {
    const sha256 = createHash('sha256').update(body).digest();
    await sql`insert into manifest_inserts (manifest_id, family, month, row_count, sha256, body)
      values (${manifestId}, ${family}, ${month}, ${rows}, ${sha256}, ${body})`.execute(tx);
  }
}

/** A sequence in a manifest's ranges whose record was not folded there. */
export interface SkippedSequence {
  readonly topic: string;
  readonly partition: number;
  readonly sequence: bigint;
}

/** Notes what a chunk passes over, so that a rebuild of it can do the same. */
export async function insertSkips(
  tx: AnalyticsTransaction,
  skips: readonly SkippedSequence[],
): Promise<void> {
  if (skips.length === 0) return;
  await sql`insert into manifest_skips (topic, partition, sequence)
    select * from unnest(
      ${skips.map(({ topic }) => topic)}::text[],
      ${skips.map(({ partition }) => partition)}::int4[],
      ${skips.map(({ sequence }) => sequence)}::int8[])`.execute(tx);
}

/** Notes that a replay folded these; its manifest is stored. */
export async function markSkipsFolded(
  tx: AnalyticsTransaction,
  manifestId: string,
  { topic, partition }: Omit<SkippedSequence, 'sequence'>,
  sequences: readonly bigint[],
): Promise<void> {
  await sql`update manifest_skips set folded_by = ${manifestId}::uuid
    where topic = ${topic} and partition = ${partition}
      and sequence = any(${sequences}::int8[])`.execute(tx);
}

/** Manifests that were committed and may not have been inserted, oldest first. */
export async function pendingManifests(
  db: AnalyticsDatabase,
  manifestsMax: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ manifest_id: string }>`
    select manifest_id from chunk_manifests where state = 'pending'
    order by committed_at_ms, manifest_id limit ${manifestsMax}`.execute(db);
  return rows.map((row) => row.manifest_id);
}

/** The rows of a manifest, byte for byte as they were committed. */
export async function insertsOfManifest(
  db: AnalyticsDatabase,
  manifestId: string,
): Promise<readonly LedgerInsert[]> {
  const { rows } = await sql<{
    family: FamilyName;
    month: number;
    row_count: number;
    body: Buffer;
  }>`
    select family, month, row_count, body from manifest_inserts
    where manifest_id = ${manifestId} order by family, month`.execute(db);
  return rows.map(({ family, month, row_count, body }) => ({
    family,
    month,
    rows: row_count,
    body,
  }));
}

export async function markManifestDone(db: AnalyticsDatabase, manifestId: string): Promise<void> {
  await sql`update chunk_manifests set state = 'done' where manifest_id = ${manifestId}`.execute(
    db,
  );
}

/** The lowest sequence per partition that is committed and may not have been inserted. */
export async function firstPendingSequences(
  db: AnalyticsDatabase,
): Promise<
  readonly { readonly topic: string; readonly partition: number; readonly sequence: bigint }[]
> {
  const { rows } = await sql<{ topic: string; partition: number; sequence: bigint }>`
    select topic, partition, min(first_sequence) as sequence
    from manifest_ranges join chunk_manifests using (manifest_id)
    where state = 'pending' group by topic, partition`.execute(db);
  return rows;
}

/** Notes a tenant; a repeat changes nothing. */
export async function storeTenant(
  tx: AnalyticsTransaction,
  tenantId: TenantId,
  registeredAtMs: number,
): Promise<void> {
  await sql`insert into tenants (tenant_id, registered_at_ms) values (${tenantId}, ${registeredAtMs})
    on conflict (tenant_id) do nothing`.execute(tx);
}

export async function countTenants(db: AnalyticsDatabase): Promise<number> {
  const { rows } = await sql<{ tenants: number }>`
    select count(*)::int4 as tenants from tenants`.execute(db);
  return rows[0]?.tenants ?? 0;
}
