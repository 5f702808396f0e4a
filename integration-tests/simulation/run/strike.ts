import { loseCommits, markCommits } from './lost-commits.ts';
import type { Fault } from '../world/fault-plan.ts';
import type { Engineroom } from '../world/stores.ts';
import { serviceOf } from '../world/instances.ts';
import type { World } from '../world/world.ts';

/** Lets a fault strike, or arms it for its operation; false when there was nothing to strike. */
export function strike(world: World, engineroom: Engineroom, fault: Fault): boolean {
  const { scheduler, faults } = world;
  world.trace.note(`fault ${fault.kind}`);
  switch (fault.kind) {
    case 'compact':
      world.log.compact();
      return true;
    case 'keys-away':
      faults.keysAwayUntilMs = scheduler.nowMs() + fault.forMs;
      return true;
    case 'mark-commits':
      markCommits(world, engineroom);
      return true;
    case 'lose-commits':
      world.loss = loseCommits(world, engineroom);
      return true;
    case 'commit':
    case 'slow-commit':
    case 'slow-append':
    case 'append':
    case 'ledger':
    case 'call':
    case 'client-call':
    case 'delivery':
      faults.arm(fault);
      return true;
    case 'crash':
    case 'pause':
    case 'zombie':
    case 'break-connections':
    case 'clock-jump':
    case 'deaf':
    case 'cut-off':
      return strikeProcess(world, fault);
  }
}

type ProcessFault = Extract<
  Fault,
  { kind: 'crash' | 'pause' | 'zombie' | 'break-connections' | 'clock-jump' | 'deaf' | 'cut-off' }
>;

function strikeProcess(world: World, fault: ProcessFault): boolean {
  const { scheduler, running, databases } = world;
  const life = running.get(fault.instance);
  if (life === undefined) return false;
  const { process } = life;
  const database = databases.get(serviceOf(fault.instance).schema);
  switch (fault.kind) {
    case 'crash':
      world.crash(fault.instance, fault.downMs);
      break;
    case 'pause':
      process.pausedUntilMs = scheduler.nowMs() + fault.forMs;
      break;
    case 'cut-off':
      process.undeliveredUntilMs = scheduler.nowMs() + fault.forMs;
      process.deafUntilMs = process.undeliveredUntilMs;
      break;
    case 'deaf':
      process.deafUntilMs = scheduler.nowMs() + fault.forMs;
      break;
    case 'zombie':
      process.pausedUntilMs = scheduler.nowMs() + fault.forMs;
      database?.breakConnections(process);
      break;
    case 'break-connections':
      database?.breakConnections(process);
      break;
    case 'clock-jump':
      process.wallOffsetMs += fault.byMs;
  }
  return true;
}
