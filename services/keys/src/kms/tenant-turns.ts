import type { TenantId } from '@lethe/platform/ids/ids.ts';

/** Runs work when what was begun for the same tenant before it has ended. */
export type TenantTurns = <Answer>(
  tenantId: TenantId,
  work: () => Promise<Answer>,
) => Promise<Answer>;

/** One piece of work of a tenant at a time in this process; tenants do not wait for each other. */
export function createTenantTurns(): TenantTurns {
  const turns = new Map<TenantId, Promise<unknown>>();
  return async (tenantId, work) => {
    const before = turns.get(tenantId);
    // Whether the one before succeeded is told to its own caller.
    const turn = Promise.allSettled([before]).then(work);
    turns.set(tenantId, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(tenantId) === turn) turns.delete(tenantId);
    }
  };
}
