import { createHash } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { TenantId } from '../ids/ids.ts';

/** The advisory lock number of a name: 8 bytes of SHA-256. Two names that collide wait for each other, no worse. */
export function advisoryLockNumber(...name: readonly string[]): bigint {
  return createHash('sha256').update(name.join('\u0000')).digest().readBigInt64BE();
}

/** Each once, ascending: the one order in which they are taken. */
function lockNumbers(service: string, tenantIds: readonly TenantId[]): readonly bigint[] {
  const numbers = tenantIds.map((tenantId) => advisoryLockNumber('fence', service, tenantId));
  return [...new Set(numbers)].toSorted((a, b) => (a < b ? -1 : 1));
}

/**
 * The fence lock of tenants, shared: taken by every transaction that relies on a fence, before it reads
 * fences in a **later** statement (a statement's snapshot is older than the wait for a lock in it). Held until the
 * transaction ends. Locks are taken in the order of their numbers, so that two transactions never wait for each other.
 */
export async function lockFencesShared<Schema>(
  tx: Transaction<Schema>,
  service: string,
  tenantIds: readonly TenantId[],
): Promise<void> {
  const numbers = lockNumbers(service, tenantIds);
  if (numbers.length === 0) return;
  await sql`select pg_advisory_xact_lock_shared(number)
    from unnest(${numbers}::int8[]) with ordinality as locks(number, place) order by place`.execute(
    tx,
  );
}

/**
 * The same locks, exclusively: taken by the transaction that inserts fences; bounded work. In the same order, so one
 * that fences for several tenants takes all of them before it does anything else.
 */
export async function lockFencesExclusively<Schema>(
  tx: Transaction<Schema>,
  service: string,
  tenantIds: readonly TenantId[],
): Promise<void> {
  const numbers = lockNumbers(service, tenantIds);
  if (numbers.length === 0) return;
  await sql`select pg_advisory_xact_lock(number)
    from unnest(${numbers}::int8[]) with ordinality as locks(number, place) order by place`.execute(
    tx,
  );
}
