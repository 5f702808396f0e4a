import { failureFields } from '@lethe/platform/errors/failure.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { Gate } from '../ledger/gate.ts';
import type { Projection } from './projection.ts';

export interface ProjectorPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** At the checkpoints; called again after its reader failed. */
  readonly open: () => Promise<Projection>;
  /** A rebuild has it while it exchanges the ledger's tables. */
  readonly turn: Gate;
  /** Called after a round that committed something. */
  readonly progressed: () => void;
}

export type Projector = Pick<Loop, 'start' | 'stop' | 'problem'>;

/** Never slept: a round waits for entries by itself. */
const pollMs = 500;

/** Runs the projection's rounds one after another; a failed round is followed by a pause and a fresh look. */
export function createProjector(ports: ProjectorPorts): Projector {
  const { clock, logger, open, turn, progressed } = ports;
  let projection: Projection | undefined;
  const loop = createLoop({
    name: 'projection',
    clock,
    pollMs,
    run: async (signal) => {
      if (projection?.isBroken() === true) {
        await projection.close();
        projection = undefined;
      }
      projection ??= await open();
      const opened = projection;
      if ((await turn(async () => opened.round(signal))) > 0) progressed();
      return 'again';
    },
    onError: (error, delayMs) => {
      logger.warn({ component: 'projection', ...failureFields(error), delayMs }, 'a chunk waits');
    },
  });
  return {
    start: () => loop.start(),
    stop: async () => {
      await loop.stop();
      await projection?.close();
    },
    problem: () => projection?.problem() ?? loop.problem(),
  };
}
