import type { PlantedBug } from '../world/world.ts';
import { planOf } from '../world/plan.ts';
import type { Engineroom } from '../world/stores.ts';
import { type RunOutcome, runPlan } from './run-plan.ts';

export interface SeedsOptions {
  readonly engineroom: Engineroom;
  readonly from: number;
  /** Every how many seeds one is this worker's. */
  readonly stride: number;
  /** Asked before each seed. */
  readonly mayGoOn: (done: number) => boolean;
  readonly plant?: () => PlantedBug;
  /** Told of every run; true ends the series. */
  readonly told: (outcome: RunOutcome) => boolean;
}

/** One seed after another. */
export async function runSeeds(options: SeedsOptions): Promise<void> {
  const { engineroom, from, stride, mayGoOn, plant, told } = options;
  for (let done = 0; mayGoOn(done); done += 1) {
    const plan = planOf(`${from + done * stride}`);
    const bug = plant?.() ?? {};
    if (told(await runPlan(plan, { engineroom, bug }))) return;
  }
}
