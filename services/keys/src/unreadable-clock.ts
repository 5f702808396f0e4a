import { type Kysely, sql } from 'kysely';
import { failureFields } from '@lethe/platform/errors/failure.ts';
import type { ErasureId, TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { FenceResponse } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { scopesOf } from './fencing.ts';
import type { Holders } from './holders.ts';
import { storeUnreadable } from './store/erase-scopes.ts';
import type { KeysSchema } from './store/schema.ts';

export interface UnreadableClockPorts {
  readonly db: Kysely<KeysSchema>;
  readonly holders: Holders;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Ends the unreadable clock of every erasure that is fenced. */
export interface UnreadableClock extends Loop {
  /** One round by hand: revokes what was not revoked yet, stores what has become unreadable. */
  look(): Promise<void>;
}

interface ReadableErasure {
  readonly tenantNumber: number;
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  readonly answer: Buffer;
}

const pollMs = 1_000;
const erasuresMax = 1_000;

/**
 * Pushes the revocations of every erasure that is committed and still readable, and stores the end of its clock. From
 * the table, so that a push which a crash took away is made after the restart, and so that a clock ends although nobody
 * asks. `wake` after a fence and after an acknowledgement.
 */
export function createUnreadableClock(ports: UnreadableClockPorts): UnreadableClock {
  const { db, holders, clock, logger } = ports;
  const lookOnce = async (): Promise<void> => {
    for (const erasure of await readableErasures(db)) {
      const { tenantNumber, tenantId, erasureId } = erasure;
      const state = holders.unreadable(erasureId);
      if (state === undefined) {
        const scopes = scopesOf(FenceResponse.decode(erasure.answer));
        holders.revoke({ tenantId, erasureId, scopes });
      } else if (state.kind === 'since') {
        await storeUnreadable(db, tenantNumber, erasureId, state.atMs);
        holders.settled(erasureId);
        logger.info({ tenant: tenantId, erasure: erasureId }, 'erasure is unreadable');
      }
    }
  };
  // One look at a time, and one that waits for all who asked meanwhile: a second one beside it, with an older list in
  // its hands, would revoke anew what this one has just settled, and wait for it for ever.
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    next ??= running.then(async () => {
      running = (next ?? running).catch(() => undefined);
      next = undefined;
      await lookOnce();
    });
    await next;
  };
  const loop = createLoop({
    name: 'unreadable-clock',
    clock,
    pollMs,
    backoffMs: { first: 100, max: 2_000 },
    run: async () => {
      await look();
      return 'idle';
    },
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'unreadable-clock', ...failureFields(error), delayMs },
        'the unreadable clock waits for the store',
      );
    },
  });
  return { ...loop, look };
}

async function readableErasures(db: Kysely<KeysSchema>): Promise<readonly ReadableErasure[]> {
  const { rows } = await sql<{
    tenant_number: number;
    tenant_id: TenantId;
    erasure_id: ErasureId;
    answer: Buffer;
  }>`select tenant_number, tenant_id, erasure_id, answer
    from erasures join tenants using (tenant_number)
    where unreadable_at_ms is null
    order by fenced_at_ms limit ${erasuresMax}`.execute(db);
  return rows.map((row) => ({
    tenantNumber: row.tenant_number,
    tenantId: row.tenant_id,
    erasureId: row.erasure_id,
    answer: row.answer,
  }));
}
