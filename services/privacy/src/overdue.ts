import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { Kysely } from 'kysely';
import type { PrivacySchema } from './schema.ts';
import { readErasure } from './store.ts';

/** Services go on after an hour without analytics, so something is wrong with an erasure that is open for two. */
const overdueMs = 2 * 3_600_000;
const quietMs = 10 * 60_000;

/** Complains about open erasures that should be done, at most every ten minutes; the oldest is named. */
export function createOverdueAlarm(ports: {
  readonly db: Kysely<PrivacySchema>;
  readonly clock: Clock;
  readonly logger: Logger;
}): (openIds: readonly ErasureId[]) => Promise<void> {
  let quietUntilMs = -Infinity;
  return async (openIds) => {
    const [oldestId] = openIds;
    const nowMs = ports.clock.monotonicMs();
    if (oldestId === undefined || nowMs < quietUntilMs) return;
    const oldest = await readErasure(ports.db, oldestId);
    if (oldest === undefined || ports.clock.nowMs() - oldest.requestedAtMs < overdueMs) return;
    quietUntilMs = nowMs + quietMs;
    const fields = { tenant: oldest.tenantId, erasure: oldest.erasureId, count: openIds.length };
    ports.logger.error(fields, 'an erasure is overdue: see the receipts that it waits for');
  };
}
