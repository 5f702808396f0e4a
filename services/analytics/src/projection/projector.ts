import { failureFields, reasonOf } from '@lethe/platform/errors/failure.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLoop, type Loop } from '@lethe/platform/lifecycle/loop.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { Gate } from '@lethe/platform/lifecycle/gate.ts';
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

const refusedPollMs = 1_000;

/**
 * Runs the projection's rounds one after another; a failed round is followed by a pause and a fresh look. A log that
 * ends before a checkpoint ends it for good: asked again once its owner has appended, it would look like any log.
 */
export function createProjector(ports: ProjectorPorts): Projector {
  const { clock, logger, open, turn, progressed } = ports;
  let projection: Projection | undefined;
  let refused: string | undefined;
  const close = async (): Promise<void> => {
    const closing = projection;
    projection = undefined;
    await closing?.close();
  };
  const round = async (signal: AbortSignal): Promise<void> => {
    if (projection?.isBroken() === true) await close();
    projection ??= await open();
    const opened = projection;
    if ((await turn(async () => opened.round(signal))) > 0) progressed();
  };
  const loop = createLoop({
    name: 'projection',
    clock,
    // Slept after a refusal alone: a round waits for entries by itself.
    pollMs: refusedPollMs,
    run: async (signal) => {
      if (refused !== undefined) return 'idle';
      try {
        await round(signal);
        return 'again';
      } catch (error) {
        if (reasonOf(error) !== 'LOG_BEHIND_CHECKPOINT') throw error;
        refused = `projection stopped: ${reasonOf(error)}`;
        logger.error({ component: 'projection', ...failureFields(error) }, 'projection stopped');
        await close();
        return 'idle';
      }
    },
    onError: (error, delayMs) => {
      logger.warn({ component: 'projection', ...failureFields(error), delayMs }, 'a chunk waits');
    },
  });
  return {
    start: () => loop.start(),
    stop: async () => {
      await loop.stop();
      await close();
    },
    problem: () => refused ?? projection?.problem() ?? loop.problem(),
  };
}
