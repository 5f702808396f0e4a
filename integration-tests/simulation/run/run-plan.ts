import { createRandom } from '../core/random.ts';
import { registerTenant, runClient, type Told } from '../world/client.ts';
import type { Fault } from '../world/fault-plan.ts';
import { runStandIns } from '../world/stand-ins.ts';
import type { Plan } from '../world/plan.ts';
import type { Engineroom } from '../world/stores.ts';
import { withVirtualGlobals } from '../world/virtual-globals.ts';
import { createWorld, type PlantedBug, type World } from '../world/world.ts';
import { checkLoss } from './lost-commits.ts';
import { strike } from './strike.ts';
import { describeUnfinished, isDrained } from './drained.ts';
import { LawBroken } from '../laws/law-broken.ts';
import { checkLaws } from '../laws/laws.ts';

export interface RunOptions {
  readonly engineroom: Engineroom;
  readonly bug?: PlantedBug;
  readonly keepsLines?: boolean;
}

/** What became of a plan. */
export interface RunOutcome {
  readonly plan: Plan;
  /** Undefined: every law held. */
  readonly broken: { readonly law: string; readonly says: string } | undefined;
  readonly traceHash: string;
  readonly lines: readonly string[];
  readonly figures: RunFigures;
}

export interface RunFigures {
  readonly steps: number;
  readonly events: number;
  readonly faults: number;
  readonly statements: number;
  readonly repeats: number;
  readonly conflicts: number;
  readonly simulatedMs: number;
}

/**
 * Everything has to come to rest within this, once nothing strikes any more. After a crash of `keys` an erasure waits a
 * minute for leases of the life before, and its driver asks five times a second.
 */
const drainStepsMax = 60_000;
const busyStepsMax = 40_000;
const lookEverySteps = 150;

/** Plays a plan from nothing, lets it come to rest, and holds the laws against what is left. */
export async function runPlan(plan: Plan, options: RunOptions): Promise<RunOutcome> {
  const { engineroom } = options;
  const told: Told = { answers: [], erasures: [], refusals: new Map() };
  const striker = { struck: 0, pending: [] as Fault[] };
  const world = createWorld({
    plan,
    engineroom,
    bug: options.bug ?? {},
    keepsLines: options.keepsLines ?? false,
    beforeStep: (running, step) => {
      const due = striker.pending.filter(({ atStep }) => atStep <= step);
      if (due.length === 0) return;
      striker.pending = striker.pending.filter(({ atStep }) => atStep > step);
      for (const fault of due) striker.struck += strike(running, engineroom, fault) ? 1 : 0;
    },
  });
  engineroom.beginRun();
  let broken: RunOutcome['broken'];
  try {
    await withVirtualGlobals(createRandom(`jitter ${plan.seed}`), async () => {
      await begin(world, told);
      if (plan.faults.some(({ kind }) => kind === 'lose-commits')) {
        await playLoss(world, told, striker);
        return;
      }
      await play(world, told, engineroom, striker);
      checkLaws(world, told, engineroom);
    });
  } catch (error) {
    if (!(error instanceof LawBroken)) throw error;
    const left = error.law === 'comes to rest' ? describeUnfinished(engineroom) : '';
    broken = { law: error.law, says: `${error.message} ${left}`.trim() };
  } finally {
    for (const { process } of world.running.values()) process.kill();
    world.scheduler.end();
    engineroom.endRun();
  }
  const defect = world.engine.defect();
  if (defect !== undefined) throw new Error(`seed ${plan.seed}: the simulator failed: ${defect}`);
  return {
    plan,
    broken,
    traceHash: world.trace.hash(),
    lines: world.trace.lines,
    figures: figuresOf(world, striker.struck),
  };
}

function figuresOf({ scheduler, engine, log }: World, faults: number): RunFigures {
  return {
    steps: scheduler.steps(),
    events: log.history.length,
    faults,
    ...engine.counts(),
    simulatedMs: scheduler.nowMs(),
  };
}

/** Tenants are registered, and everybody has started. */
async function begin(world: World, told: Told): Promise<void> {
  const { plan, network } = world;
  for (const instance of plan.instances) world.start(instance);
  const standIns = world.helper('stand-ins');
  void runStandIns(network, standIns, world.log, ['predictions', 'usage']);
  const ready = registerAll(world, told);
  await stepUntil(world, () => ready.isOver, busyStepsMax, 'start');
}

interface Striker {
  pending: Fault[];
}

/** Clients at work; faults strike from now on. */
function setOut(world: World, told: Told, striker: Striker) {
  const { plan, scheduler, network } = world;
  const from = scheduler.steps();
  striker.pending = plan.faults.map((fault) => ({ ...fault, atStep: fault.atStep + from }));
  return plan.clients.map((commands, index) =>
    watched(runClient(network, world.helper(`client-${index}`), commands, told)),
  );
}

async function play(
  world: World,
  told: Told,
  engineroom: Engineroom,
  striker: Striker,
): Promise<void> {
  const { scheduler, faults } = world;
  const clients = setOut(world, told, striker);
  await stepUntil(world, () => clients.every(({ isOver }) => isOver), busyStepsMax, 'answers');
  // Nothing strikes any more; what was begun comes to its end.
  striker.pending = [];
  faults.disarm();
  for (const { process } of world.running.values()) {
    process.pausedUntilMs = 0;
    process.deafUntilMs = 0;
    process.undeliveredUntilMs = 0;
  }
  let nextLook = scheduler.steps();
  let rested = false;
  await stepUntil(
    world,
    () => {
      if (scheduler.steps() < nextLook) return false;
      nextLook = scheduler.steps() + lookEverySteps;
      rested = isDrained(world, engineroom);
      return rested;
    },
    drainStepsMax,
    'rest',
  );
}

const loseWithinSteps = 3_000;
const lookAfterSteps = 2_500;

/** A database loses commits: what follows is judged by one law alone. */
async function playLoss(world: World, told: Told, striker: Striker): Promise<void> {
  setOut(world, told, striker);
  await stepUntil(world, () => world.loss !== undefined, loseWithinSteps, 'loss');
  const from = world.scheduler.steps();
  const isOver = (): boolean => world.scheduler.steps() > from + lookAfterSteps;
  await stepUntil(world, isOver, busyStepsMax, 'look');
  if (world.loss !== undefined) checkLoss(world, world.loss);
}

function registerAll(world: World, told: Told): { isOver: boolean } {
  const process = world.helper('admin');
  const register = async (): Promise<void> => {
    for (const [tenant, { mayReturn }] of world.plan.tenants) {
      await registerTenant(world.network, process, tenant, mayReturn, told);
    }
  };
  return watched(register());
}

function watched(work: Promise<void>): { isOver: boolean } {
  const state = { isOver: false };
  void work.then(() => {
    state.isOver = true;
  });
  return state;
}

async function stepUntil(
  world: World,
  isOver: () => boolean,
  stepsMax: number,
  what: string,
): Promise<void> {
  const last = world.scheduler.steps() + stepsMax;
  let tooMany = false;
  const outcome = await world.scheduler.runUntil(() => {
    tooMany = world.scheduler.steps() > last;
    return tooMany || isOver();
  });
  if (outcome === 'stuck')
    throw new LawBroken('comes to rest', `nothing can happen before ${what}`);
  if (!tooMany) return;
  const problems = [...world.running].flatMap(([name, { service }]) => {
    const problem = service.problem();
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
  const said = [...problems, ...world.failedStarts.slice(-2)].join('; ');
  throw new LawBroken('comes to rest', `no ${what} after ${stepsMax} steps; ${said}`);
}
