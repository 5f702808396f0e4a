import type { SimulatedProcess } from '../core/simulated-process.ts';
import type { CommitFate } from '../database/simulated-database.ts';
import type { AppendFate } from '../stores/memory-log.ts';
import type { Delivery } from '../stores/memory-log-reader.ts';
import type { InsertFate } from '../stores/memory-ledger.ts';
import type { CallFate } from './network.ts';
import type { Fault, InstanceName } from './fault-plan.ts';

/** The faults that wait for their operation, by instance. */
export interface ArmedFaults {
  arm(fault: Fault): void;
  /** How long an append is on its way, and its process a zombie. */
  appendDelayMs(process: SimulatedProcess): number;
  /** How long a commit is on its way. */
  commitDelayMs(process: SimulatedProcess): number;
  commitFate(process: SimulatedProcess): CommitFate;
  appendFate(process: SimulatedProcess): AppendFate;
  insertFate(process: SimulatedProcess): InsertFate;
  callFate(process: SimulatedProcess, to: string): CallFate;
  delivery(process: SimulatedProcess): Delivery;
  /** Until this simulated moment. */
  keysAwayUntilMs: number;
  /** Nothing strikes any more. */
  disarm(): void;
}

export function createArmedFaults(nowMs: () => number): ArmedFaults {
  let armed: Fault[] = [];
  const take = <Kind extends Fault['kind']>(process: SimulatedProcess, kind: Kind) => {
    const name = instanceOf(process);
    const found = armed.find(
      (fault) => fault.kind === kind && 'instance' in fault && fault.instance === name,
    );
    if (found !== undefined) armed = armed.filter((fault) => fault !== found);
    return found as Extract<Fault, { kind: Kind }> | undefined;
  };
  const faults: ArmedFaults = {
    keysAwayUntilMs: 0,
    arm: (fault) => armed.push(fault),
    appendDelayMs: (process) => take(process, 'slow-append')?.forMs ?? 0,
    commitDelayMs: (process) => take(process, 'slow-commit')?.forMs ?? 0,
    commitFate: (process) => take(process, 'commit')?.fate ?? 'answered',
    appendFate: (process) => take(process, 'append')?.fate ?? 'answered',
    insertFate: (process) => take(process, 'ledger')?.fate ?? 'answered',
    callFate: (process, to) => {
      if (to === 'keys' && nowMs() < faults.keysAwayUntilMs) return 'request-lost';
      return take(process, 'call')?.fate ?? take(process, 'client-call')?.fate ?? 'answered';
    },
    delivery: (process) => {
      if (nowMs() < process.undeliveredUntilMs) return 'late';
      const fault = take(process, 'delivery');
      if (fault === undefined) return 'regular';
      if (fault.times > 1) armed.push({ ...fault, times: fault.times - 1 });
      return fault.delivery;
    },
    disarm: () => {
      armed = [];
      faults.keysAwayUntilMs = 0;
    },
  };
  return faults;
}

/** "tickets-a" of "tickets-a#2". */
export function instanceOf({ name }: SimulatedProcess): InstanceName {
  return name.split('#')[0] as InstanceName;
}
