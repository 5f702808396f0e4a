import { families } from '@lethe/analytics/domain/families.ts';
import { columnsOf } from '@lethe/analytics/domain/fold.ts';
import { ledgerColumns } from '@lethe/analytics/domain/ledger-rows.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createProcess } from '../core/process.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import { createRandom } from '../core/random.ts';
import { createScheduler, type Scheduler } from '../core/scheduler.ts';
import { createTrace, type Trace } from '../core/trace.ts';
import { openSimulatedHandle } from '../database/dialect.ts';
import { createEngine, type Engine } from '../database/engine.ts';
import {
  createSimulatedDatabase,
  type DatabaseFaults,
  type SimulatedDatabase,
  type Tampering,
} from '../database/simulated-database.ts';
import { createMemoryKms, type MemoryKms } from '../stores/memory-kms.ts';
import { createMemoryLedger, type MemoryLedger } from '../stores/memory-ledger.ts';
import { createMemoryLog, type LogAccess, type MemoryLog } from '../stores/memory-log.ts';
import { type ArmedFaults, createArmedFaults } from './faults.ts';
import type { InstanceName } from './fault-plan.ts';
import { composeInstance, type InstancePorts, serviceOf } from './instances.ts';
import { createSimulatedNetwork, type SimulatedNetwork } from './network.ts';
import type { Loss } from './loss.ts';
import type { Plan } from './plan.ts';
import { type Engineroom, type SchemaName, schemas } from './stores.ts';

/** Replaces parts of the product by wrong ones. */
export interface PlantedBug extends Tampering {
  /** Wraps what an instance runs on. */
  readonly ports?: (ports: InstancePorts, instance: InstanceName, world: World) => InstancePorts;
  /** Writers neither fence each other nor look at sequences. */
  readonly isUnfenced?: boolean;
  /** Told of the world once it stands. */
  readonly begin?: (world: World) => void;
}

/** A run's stores, its processes and what strikes them. */
export interface World {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly engine: Engine;
  readonly databases: ReadonlyMap<SchemaName, SimulatedDatabase>;
  readonly log: MemoryLog;
  readonly ledger: MemoryLedger;
  readonly network: SimulatedNetwork;
  readonly faults: ArmedFaults;
  /** Living instances. */
  readonly running: Map<InstanceName, { process: SimulatedProcess; service: Service }>;
  /** Set once a database has lost commits. */
  loss: Loss | undefined;
  /** Why processes ended by themselves before they had started. */
  readonly failedStarts: string[];
  /** Starts the instance; one that cannot start is tried again. */
  start(instance: InstanceName): void;
  /** Kills the instance and starts it again after this time. */
  crash(instance: InstanceName, downMs: number): void;
  /** A process that is no service: clients, stand-ins, the oracle. */
  helper(name: string): SimulatedProcess;
}

export interface WorldOptions {
  readonly plan: Plan;
  readonly engineroom: Engineroom;
  readonly bug: PlantedBug;
  readonly beforeStep: (world: World, step: number) => void;
  readonly keepsLines: boolean;
}

export const topicPartitions: ReadonlyMap<string, number> = new Map([
  ['tickets.v1', 2],
  ['predictions.v1', 1],
  ['usage.v1', 1],
  ['privacy.v1', 1],
]);

/** How often an operation goes first that makes another transaction begin anew. */
const unwelcomeShare = 0.08;

export function createWorld(options: WorldOptions): World {
  const { plan, engineroom, bug } = options;
  const { seed } = plan;
  const trace = createTrace(options.keepsLines);
  const random = createRandom(`schedule ${seed}`);
  const scheduler = createScheduler({
    random,
    trace,
    unwelcomeShare,
    beforeStep: (step) => options.beforeStep(world, step),
  });
  const faults = createArmedFaults(() => scheduler.nowMs());
  const engine = createEngine(engineroom);
  const databaseFaults: DatabaseFaults = {
    commitDelayMs: (process) => faults.commitDelayMs(process),
    commitFate: (_, process) => faults.commitFate(process),
  };
  const network = createSimulatedNetwork({
    scheduler,
    random: createRandom(`network ${seed}`),
    faults: { callFate: (from, to) => faults.callFate(from, to) },
  });
  const stores = createStores(plan.seed, bug, { engine, scheduler, faults: databaseFaults });
  const running = new Map<InstanceName, { process: SimulatedProcess; service: Service }>();
  const lives = new Map<string, number>();
  const helper = (name: string): SimulatedProcess => {
    const life = (lives.get(name) ?? 0) + 1;
    lives.set(name, life);
    return createProcess(scheduler, `${name}#${life}`, seed);
  };
  const supervisor = helper('supervisor');
  const world: World = {
    ...stores,
    plan,
    scheduler,
    trace,
    engine,
    network,
    faults,
    running,
    failedStarts: [],
    loss: undefined,
    helper,
    start: (instance) => startInstance(world, stores, bug, instance),
    crash: (instance, downMs) => {
      const life = running.get(instance);
      if (life === undefined) return;
      running.delete(instance);
      life.process.kill();
      void supervisor.clock.sleep(downMs).then(() => world.start(instance));
    },
  };
  bug.begin?.(world);
  return world;
}

const restartMs = 1_000;

function startInstance(
  world: World,
  stores: Stores,
  bug: PlantedBug,
  instance: InstanceName,
): void {
  if (world.running.has(instance)) return;
  const process = world.helper(instance);
  const ports = portsOf(world, stores, process, instance);
  const service = composeInstance(instance, bug.ports?.(ports, instance, world) ?? ports);
  world.running.set(instance, { process, service });
  void service.start().then(
    () => undefined,
    (error: unknown) => {
      world.failedStarts.push(`${instance}: ${String(error)}`);
      world.crash(instance, restartMs);
    },
  );
  if (process.isDead || instance.startsWith('audit')) return;
  const registrations = [...service.internalApi, ...service.publicApi];
  world.network.serve(process, serviceOf(instance).service, registrations);
}

function bytesOf(seedText: string): (sizeBytes: number) => Buffer {
  const random = createRandom(seedText);
  return (sizeBytes) => random.bytes(sizeBytes);
}

interface Stores {
  readonly databases: ReadonlyMap<SchemaName, SimulatedDatabase>;
  readonly log: MemoryLog;
  readonly ledger: MemoryLedger;
  readonly kms: MemoryKms;
}

function createStores(
  seed: string,
  bug: PlantedBug,
  ports: { engine: Engine; scheduler: Scheduler; faults: DatabaseFaults },
): Stores {
  const databasePorts = { ...ports, tampering: bug };
  return {
    databases: new Map(
      schemas.map((schema) => [schema, createSimulatedDatabase(schema, databasePorts)]),
    ),
    log: createMemoryLog(topicPartitions, {
      isUnfenced: bug.isUnfenced === true,
      forgetsAtOnce: createRandom(`log ${seed}`).chance(0.5),
    }),
    ledger: createMemoryLedger(keyColumnsOf),
    kms: createMemoryKms(bytesOf(`kms ${seed}`)),
  };
}

function portsOf(
  { scheduler, network, faults }: World,
  { databases, log, ledger, kms }: Stores,
  process: SimulatedProcess,
  instance: InstanceName,
): InstancePorts {
  const pass = async <Result>(label: string, run: () => Result, afterMs = 0): Promise<Result> => {
    const arrivesMs = scheduler.nowMs() + afterMs;
    return scheduler.gate({ process, label, run, mayRun: () => scheduler.nowMs() >= arrivesMs });
  };
  const access: LogAccess = {
    pass,
    clock: process.clock,
    appendFate: () => faults.appendFate(process),
    appendDelayMs: () => {
      const delayMs = faults.appendDelayMs(process);
      if (delayMs > 0) databases.get(serviceOf(instance).schema)?.breakConnections(process);
      return delayMs;
    },
    delivery: () => faults.delivery(process),
  };
  return {
    process,
    peers: network.peersFor(process, serviceOf(instance).service),
    eventLog: log.accessFor(access),
    kms: kms.accessFor(pass),
    clickHouse: ledger.accessFor({ pass, insertFate: () => faults.insertFate(process) }),
    handle: <Schema>(schema: SchemaName) => {
      const database = databases.get(schema);
      if (database === undefined) throw new RangeError(`no database ${schema}`);
      return openSimulatedHandle<Schema>(database, process);
    },
  };
}

function keyColumnsOf(table: string): readonly string[] {
  const family = families.find(({ name }) => name === table);
  if (family === undefined) throw new RangeError(`no table ${table}`);
  const measures = new Set(columnsOf(family));
  return ledgerColumns(family).filter((name) => !measures.has(name));
}
