import type { Caller } from '../connection/session.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import { formatDuration } from '../output/numbers.ts';
import { startProgress } from '../output/progress.ts';
import type { Surroundings } from '../surroundings.ts';
import { fetchTotals, type TotalsAnswer } from '../views/totals.ts';

const pollMs = 200;
/** Longer than any catching-up takes; after it something has stopped. */
const waitMaxMs = 180_000;

/** Waits until the totals hold every event recorded before the moment, and answers them. */
export async function waitUntilComplete(
  admin: Caller,
  momentMs: number,
  { clock, signal, terminal }: Surroundings,
): Promise<TotalsAnswer> {
  const startedMs = clock.monotonicMs();
  const progress = startProgress(terminal, {
    title: 'Analytics catches up',
    total: undefined,
    showsCount: false,
  });
  try {
    for (;;) {
      const totals = await fetchTotals(admin);
      const completeUpToMs = totals.completeUpTo?.getTime() ?? 0;
      const waitedMs = clock.monotonicMs() - startedMs;
      if (completeUpToMs >= momentMs) {
        progress.finish(`complete after ${formatDuration(waitedMs)}`);
        return totals;
      }
      if (waitedMs > waitMaxMs) {
        throw new CliError(
          exitCodes.failed,
          `Analytics has not caught up after ${formatDuration(waitedMs)}.`,
          {
            next: 'See with `lethe status` which service is not serving; run the tour again to go on from here.',
          },
        );
      }
      const behindMs = completeUpToMs === 0 ? undefined : momentMs - completeUpToMs;
      progress.update(0, behindMs === undefined ? '' : `${formatDuration(behindMs)} behind`);
      await clock.sleep(pollMs, signal);
    }
  } catch (error) {
    progress.abandon();
    throw error;
  }
}
