import { sql } from 'kysely';
import type { AnalyticsDatabase } from '../store.ts';

/**
 * At most so many events below the checkpoints are not in the ledger: those that are parked and those whose replay is
 * committed and perhaps not inserted. Of one tenant with the records that nobody can tell a tenant of; of all when it
 * is left out.
 */
export async function countParkedEvents(db: AnalyticsDatabase, tenantId?: string): Promise<bigint> {
  const tenants = tenantId === undefined ? null : [tenantId, ''];
  // One statement, so that an event that is being replayed is in one of the two or in neither.
  const { rows } = await sql<{ events: bigint }>`
    select (select count(*) from parked_records
        where ${tenants}::text[] is null or tenant_id = any(${tenants}::text[]))
      + (select count(*) from manifest_skips join chunk_manifests on manifest_id = folded_by
        where state = 'pending') as events`.execute(db);
  return rows[0]?.events ?? 0n;
}
