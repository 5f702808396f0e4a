import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { SixProcesses } from '../../deploy/local/six-processes.ts';
import type { Gate } from './gate.ts';
import type { Fault, FaultPlan, Lane } from './plan.ts';
import type { Supervised } from './supervised.ts';

/** A fault that was made. */
export interface DoneFault {
  readonly fault: Fault;
  /** Events acknowledged when it began. */
  readonly atEvents: number;
  /** Until what it befell served again, milliseconds. */
  readonly tookMs: number;
}

export interface InjectorPorts {
  readonly six: SixProcesses;
  readonly services: ReadonlyMap<ServiceName, Supervised>;
  readonly gate: Gate;
  readonly plan: FaultPlan;
  readonly onDone: (done: DoneFault) => void;
  /** Every process id that was started beside the six. */
  readonly onPid: (pid: number) => void;
}

/** How long a second instance lives beside the first, at the least. */
const besideMs = 3_000;
const pollMs = 100;
const servingWithinMs = 240_000;

/** Makes the faults of a lane, each when its turn has come; the next one waits until the last one is over. */
export async function runLane(ports: InjectorPorts, number: number, lane: Lane): Promise<void> {
  const { gate, onDone } = ports;
  for (const [index, { fault, atEvents }] of lane.entries()) {
    gate.nextDue(number, atEvents);
    await gate.reached(atEvents);
    const beganMs = performance.now();
    const acknowledged = gate.acknowledged();
    // The sender goes on while it lasts.
    gate.nextDue(number, lane[index + 1]?.atEvents ?? Infinity);
    await inject(ports, fault);
    onDone({ fault, atEvents: acknowledged, tookMs: performance.now() - beganMs });
  }
  gate.nextDue(number, Infinity);
}

async function inject(ports: InjectorPorts, fault: Fault): Promise<void> {
  const { six, plan } = ports;
  switch (fault.kind) {
    case 'service kill': {
      const service = serviceOf(ports, fault.service);
      await service.killNine();
      return await service.untilServing();
    }
    case 'broker kill':
      await six.kafka.kill();
      return await six.kafka.startAgain();
    case 'PostgreSQL kill':
      await six.postgres.kill();
      return await six.postgres.start();
    case 'Vault sealed':
      await six.vault.seal();
      await delay(plan.sealedMs);
      return await six.vault.unseal();
    case 'consumer stopped':
      return await stopAndGoOn(ports, fault.service);
    case 'second instance':
      return await secondInstance(ports, fault);
  }
}

function serviceOf({ services }: InjectorPorts, name: ServiceName): Supervised {
  const found = services.get(name);
  if (found === undefined) throw new RangeError(`no service ${name}`);
  return found;
}

/** Like a process that hangs: its session with Kafka, its leases and its locks go by, and it knows of nothing. */
async function stopAndGoOn(ports: InjectorPorts, name: ServiceName): Promise<void> {
  const service = serviceOf(ports, name);
  const pid = service.process.pid();
  service.signal('SIGSTOP');
  await delay(ports.plan.stoppedMs);
  // It may have been killed meanwhile, and have a successor.
  if (service.process.pid() === pid) service.signal('SIGCONT');
  await service.untilServing();
}

async function secondInstance(
  ports: InjectorPorts,
  { service: name, killsFirst, ending }: Extract<Fault, { kind: 'second instance' }>,
): Promise<void> {
  const { six, onPid } = ports;
  const first = serviceOf(ports, name);
  const second = await six.anotherOf(name);
  const isThere = async () => {
    // One that lost its database ends, as the first does, and is started again.
    if (second.pid() === undefined) second.start();
    onPid(second.pid() ?? 0);
    // There is one keys at a time: a second one waits.
    const said = await second.health();
    return said?.phase === 'serving' || said?.waitsFor?.includes('another process') === true;
  };
  await untilSo(isThere, `a second ${name} does not start`);
  six.routeTo(second);
  if (killsFirst) await first.killNine();
  await delay(besideMs);
  six.routeTo(first.process);
  await second.end(ending);
  await first.untilServing();
}

async function untilSo(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const endsMs = performance.now() + servingWithinMs;
  while (!(await isSo())) {
    if (performance.now() > endsMs) throw new Error(otherwise);
    await delay(pollMs);
  }
}
