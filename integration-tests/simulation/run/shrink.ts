import type { Command } from '../world/commands.ts';
import type { Plan } from '../world/plan.ts';
import type { RunOutcome } from './run-plan.ts';

export interface Shrunken {
  readonly plan: Plan;
  readonly outcome: RunOutcome;
  /** How many runs it took. */
  readonly runs: number;
}

const defaultRunsMax = 120;

/**
 * Takes parts of a plan away as long as the same law is broken: faults, then instances, then commands, then events.
 * Greedy and bounded. The schedule that follows differs from the original's, so what is left is a plan that fails in
 * its own right, not a piece of the first run.
 */
export async function shrink(
  failed: RunOutcome,
  run: (plan: Plan) => Promise<RunOutcome>,
  runsMax = defaultRunsMax,
): Promise<Shrunken> {
  let best = { plan: failed.plan, outcome: failed };
  let runs = 0;
  const tryPlan = async (plan: Plan): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs += 1;
    const outcome = await run(plan);
    if (outcome.broken?.law !== failed.broken?.law) return false;
    best = { plan, outcome };
    return true;
  };
  for (let isSmaller = true; isSmaller && runs < runsMax;) {
    isSmaller = false;
    for (const smaller of smallerPlans) {
      // Candidates are made anew after each success: what was taken away stays away.
      for (let at = 0; ;) {
        const candidate = smaller(best.plan, at);
        if (candidate === undefined || runs >= runsMax) break;
        if (await tryPlan(candidate)) isSmaller = true;
        else at += 1;
      }
    }
  }
  return { ...best, runs };
}

/** The plan without its `at`-th part of a kind; undefined when it has no such part. */
const smallerPlans: readonly ((plan: Plan, at: number) => Plan | undefined)[] = [
  (plan, at) =>
    at < plan.faults.length ? { ...plan, faults: plan.faults.toSpliced(at, 1) } : undefined,
  (plan, at) => {
    const second = plan.instances.filter((name) => name.endsWith('-b'));
    const dropped = second[at];
    if (dropped === undefined) return undefined;
    return { ...plan, instances: plan.instances.filter((name) => name !== dropped) };
  },
  (plan, at) => withCommands(plan, at, (commands, index) => commands.toSpliced(index, 1)),
  (plan, at) => {
    const places = plan.clients.flatMap((commands, client) =>
      commands.flatMap((command, index) =>
        command.kind === 'append' && command.events.length > 1
          ? command.events.map((_, event) => ({ client, index, event }))
          : [],
      ),
    );
    const place = places[at];
    if (place === undefined) return undefined;
    const clients = plan.clients.map((commands, client) =>
      client === place.client ? withoutEvent(commands, place.index, place.event) : commands,
    );
    return { ...plan, clients };
  },
];

function withCommands(
  plan: Plan,
  at: number,
  change: (commands: readonly Command[], index: number) => Command[],
): Plan | undefined {
  let left = at;
  for (const [client, commands] of plan.clients.entries()) {
    if (left < commands.length) {
      return { ...plan, clients: plan.clients.with(client, change(commands, left)) };
    }
    left -= commands.length;
  }
  return undefined;
}

function withoutEvent(commands: readonly Command[], at: number, event: number): Command[] {
  return commands.map((command, index) =>
    index === at && command.kind === 'append'
      ? { ...command, events: command.events.toSpliced(event, 1) }
      : command,
  );
}
