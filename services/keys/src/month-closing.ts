import type { Kysely } from 'kysely';
import { failureFields } from '@lethe/platform/errors/failure.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { openMonths } from './domain/months.ts';
import { destroyContributorKeysBefore } from './store/contributor-keys.ts';
import type { KeysSchema } from './store/schema.ts';

export interface MonthClosingPorts {
  readonly db: Kysely<KeysSchema>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly monthGraceMs: number;
}

const pollMs = 600_000;

/** Destroys the contributor keys of closed months; without them the hashes in facts boxes lead to nobody. */
export function createMonthClosing(ports: MonthClosingPorts): Loop {
  const { db, clock, logger, monthGraceMs } = ports;
  return createLoop({
    name: 'month-closing',
    clock,
    pollMs,
    run: async () => {
      const [firstOpen] = openMonths(clock.nowMs(), monthGraceMs);
      if (firstOpen === undefined) return 'idle';
      const count = await destroyContributorKeysBefore(db, firstOpen);
      if (count > 0) logger.info({ count }, 'contributor keys of closed months destroyed');
      return 'idle';
    },
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'month-closing', ...failureFields(error), delayMs },
        'closed months wait',
      );
    },
  });
}
