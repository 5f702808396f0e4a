import { failureFields } from '@lethe/platform/errors/failure.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import { sleepQuietly } from '@lethe/platform/lifecycle/wakeable.ts';
import { advanceErasure, type ErasureStepsPorts } from './erasure-steps.ts';
import { createOverdueAlarm } from './overdue.ts';
import { openErasureIds } from './store.ts';

const pollMs = 5_000;
/** Leases are revoked within milliseconds; only a holder that does not answer lasts until its TTL. */
const unreadablePollMs = 200;

/** Brings every open erasure to its end, whatever interrupted it. Wake it after each change. */
export function createErasureDriver(ports: ErasureStepsPorts): Loop {
  const { db, clock, logger } = ports;
  const alarm = createOverdueAlarm(ports);
  const round = async (signal: AbortSignal): Promise<'again' | 'idle'> => {
    const openIds = await openErasureIds(db);
    const outcomes = await Promise.allSettled(
      openIds.map((erasureId) => advanceErasure(ports, erasureId, signal)),
    );
    await alarm(openIds);
    // One erasure that cannot go on holds back none of the others.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const asksAgain = outcomes.some(
      (outcome) => outcome.status === 'fulfilled' && outcome.value === 'asks-again',
    );
    if (!asksAgain) return 'idle';
    await sleepQuietly(clock, unreadablePollMs, signal);
    return 'again';
  };
  return createLoop({
    name: 'erasure-driver',
    clock,
    pollMs,
    run: round,
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'erasure-driver', ...failureFields(error), delayMs },
        'erasures wait for a retry',
      );
    },
  });
}
