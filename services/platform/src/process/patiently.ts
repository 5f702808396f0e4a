import { failureFields, failureText } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { createBackoff } from '../retry/backoff.ts';
import { isTransient } from '../retry/is-transient.ts';

export interface Patience {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the wait. */
  readonly stopping: AbortSignal;
  /** Told what is waited for, and undefined once it is there. */
  readonly onWait: (waitsFor: string | undefined) => void;
}

/**
 * Does again and again what a process needs to start, while a failure may pass by itself, telling each. Throws what may
 * not, and SHUTTING_DOWN when the process stops.
 */
export async function patiently<T>(
  what: string,
  attempt: () => Promise<T>,
  { clock, logger, stopping, onWait }: Patience,
): Promise<T> {
  const backoff = createBackoff(250, 5_000);
  for (;;) {
    if (stopping.aborted) throw new ServiceError('SHUTTING_DOWN');
    try {
      const result = await attempt();
      onWait(undefined);
      return result;
    } catch (error) {
      if (stopping.aborted) throw new ServiceError('SHUTTING_DOWN', undefined, { cause: error });
      if (!mayPass(error)) throw error;
      const problem = `${what}: ${failureText(error)}`;
      onWait(problem);
      const delayMs = backoff.next();
      logger.warn({ component: 'start', ...failureFields(error), problem, delayMs }, 'waits');
      await clock.sleep(delayMs, stopping);
    }
  }
}

/**
 * To a process that serves, a store that refuses its login is one that is away. One that starts ends: it has read its
 * settings, and whoever starts it again has corrected them.
 */
function mayPass(error: unknown): boolean {
  const isRefusal = error instanceof ServiceError && error.reason === 'STORE_ACCESS_DENIED';
  return isTransient(error) && !isRefusal;
}
