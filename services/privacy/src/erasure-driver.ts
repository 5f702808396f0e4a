import { failureFields } from '@lethe/platform/errors/failure.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import { sleepQuietly } from '@lethe/platform/lifecycle/wakeable.ts';
import { type Advanced, advanceErasure, type ErasureStepsPorts } from './erasure-steps.ts';
import { createOverdueAlarm } from './overdue.ts';
import { openErasureIds } from './store.ts';

const pollMs = 5_000;
/** Erasures under way at once; each holds a call to `keys` or a transaction. */
const atOnceMax = 32;
/** Leases are revoked within milliseconds; only a holder that does not answer lasts until its TTL. */
const unreadablePollMs = 200;

/** Brings every open erasure to its end, whatever interrupted it. Wake it after each change. */
export function createErasureDriver(ports: ErasureStepsPorts): Loop {
  const { db, clock, logger } = ports;
  const alarm = createOverdueAlarm(ports);
  const round = async (signal: AbortSignal): Promise<'again' | 'idle'> => {
    const openIds = await openErasureIds(db);
    const outcomes: PromiseSettledResult<Advanced>[] = [];
    for (let from = 0; from < openIds.length && !signal.aborted; from += atOnceMax) {
      const some = openIds.slice(from, from + atOnceMax);
      const advanced = some.map((erasureId) => advanceErasure(ports, erasureId, signal));
      outcomes.push(...(await Promise.allSettled(advanced)));
    }
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
