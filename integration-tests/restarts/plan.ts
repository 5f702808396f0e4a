import { createSeededRandom } from '@lethe/cli/generator/random.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { servicesInTurn } from '../faults/plan.ts';

/** How many restarts, and under which load. */
export interface RestartPlan {
  readonly seed: string;
  readonly restarts: number;
  /** Of all clients together, as long as processes restart. */
  readonly eventsPerSecond: number;
  readonly readsPerSecond: number;
  /** LETHE_DRAIN_DELAY_MS: how long a process serves on when it is not ready any more. Part of its drain. */
  readonly drainDelayMs: number;
}

/** What the whole run is, as docs/operators/fault-runs.md reports it. */
export const fullPlan: Omit<RestartPlan, 'seed'> = {
  restarts: 100,
  eventsPerSecond: 100,
  readsPerSecond: 5,
  drainDelayMs: 500,
};

/** Two of each service. */
export const shortPlan: Omit<RestartPlan, 'seed'> = { ...fullPlan, restarts: 12 };

/** Which process restarts after which; each as often as any other. */
export function orderOf({ seed, restarts }: RestartPlan): readonly ServiceName[] {
  const next = servicesInTurn(createSeededRandom(`restarts/${seed}`));
  return Array.from({ length: restarts }, next);
}
