import { createRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedProcess } from './simulated-process.ts';

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
