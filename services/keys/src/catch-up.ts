import { failureFields } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { sleepQuietly } from '@lethe/platform/lifecycle/wakeable.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';

/**
 * Closed after every start until privacy.v1 has been consumed to its end: a store restored from a copy would otherwise
 * lease keys that were destroyed after the copy was made.
 */
export interface CatchUp {
  /** Throws KEYS_CATCHING_UP while closed. */
  require(): void;
  /** For good: later events arrive by RPC too, and a lease that crosses one is revoked. */
  open(): void;
}

const retryDelayMs = 200;

export function createCatchUp(): CatchUp {
  let isOpen = false;
  return {
    require: () => {
      if (!isOpen) throw new ServiceError('KEYS_CATCHING_UP', undefined, { retryDelayMs });
    },
    open: () => {
      isOpen = true;
    },
  };
}

export interface CatchUpPorts {
  readonly catchUp: CatchUp;
  /** Resolves once everything that is on privacy.v1 now has been consumed. */
  readonly caughtUp: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const retryMs = 1_000;

/**
 * Opens once caught up. While the log cannot be reached or its partition has stopped, it stays closed and asks again:
 * the consumer's own problem says why.
 */
export async function openWhenCaughtUp(ports: CatchUpPorts): Promise<void> {
  const { catchUp, caughtUp, clock, logger, signal } = ports;
  while (!signal.aborted) {
    try {
      await caughtUp();
      catchUp.open();
      return;
    } catch (error) {
      if (signal.aborted) return;
      logger.warn(
        { component: 'catch-up', ...failureFields(error), delayMs: retryMs },
        'no leases yet',
      );
      await sleepQuietly(clock, retryMs, signal);
    }
  }
}
