import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { createRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** An instance of a service, from one start to its death. What it asks of a store or a peer goes through a gate. */
export interface SimulatedProcess {
  /** "tickets-1#2": the service, which of its instances, and which life. */
  readonly name: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Nothing of it ever goes on. */
  readonly isDead: boolean;
  /** Its operations wait until this moment of simulated time. */
  pausedUntilMs: number;
  /** Messages of streams, such as revocations, do not reach it before this moment. */
  deafUntilMs: number;
  /** Nor does anything from the log before this one. */
  undeliveredUntilMs: number;
  /** By how much its wall clock is off; jumps. */
  wallOffsetMs: number;
  /** Runs when it dies: connections break, calls to it fail. */
  onDeath(action: () => void): void;
  kill(): void;
}

/** Where wall clocks begin: Monday, 9 March 2026, 09:00 UTC. */
export const startWallMs = Date.UTC(2026, 2, 9, 9);

export function createProcess(
  scheduler: Scheduler,
  name: string,
  seedText: string,
): SimulatedProcess {
  const random = createRandom(`${seedText} ${name}`);
  const atDeath: (() => void)[] = [];
  let isDead = false;
  const bornMs = scheduler.nowMs();
  const created: SimulatedProcess = {
    name,
    randomBytes: (sizeBytes) => random.bytes(sizeBytes),
    get isDead() {
      return isDead;
    },
    pausedUntilMs: 0,
    deafUntilMs: 0,
    undeliveredUntilMs: 0,
    wallOffsetMs: 0,
    clock: {
      nowMs: () => Math.floor(startWallMs + scheduler.nowMs() + created.wallOffsetMs),
      monotonicMs: () => scheduler.nowMs() - bornMs + 1_000,
      sleep: async (durationMs, signal) => scheduler.sleep(created, durationMs, signal),
    },
    onDeath: (action) => {
      atDeath.push(action);
    },
    kill: () => {
      if (isDead) return;
      isDead = true;
      scheduler.forget(created);
      for (const action of atDeath) action();
    },
  };
  return created;
}
