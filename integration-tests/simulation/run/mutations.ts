import { plantedBugs } from '../planted/planted.ts';
import type { Planted } from '../planted/statements.ts';
import type { Engineroom } from '../world/stores.ts';
import type { RunOutcome } from './run-plan.ts';
import { runSeeds } from './run-seeds.ts';

/** What it took to catch a bug. */
export interface Caught {
  readonly name: string;
  readonly what: string;
  /** Undefined: no seed within the bound. */
  readonly seed: string | undefined;
  readonly seeds: number;
  readonly law: string;
  readonly says: string;
}

/** Runs seeds from `from` on with the bug in place until a law is broken, `seedsMax` at most. */
export async function hunt(
  engineroom: Engineroom,
  planted: Planted,
  from: number,
  seedsMax: number,
): Promise<Caught> {
  let caught: RunOutcome | undefined;
  let seeds = 0;
  await runSeeds({
    engineroom,
    from,
    stride: 1,
    mayGoOn: (done) => done < seedsMax,
    plant: planted.plant,
    told: (outcome) => {
      seeds += 1;
      if (outcome.broken !== undefined) caught = outcome;
      return caught !== undefined;
    },
  });
  return {
    name: planted.name,
    what: planted.what,
    seed: caught?.plan.seed,
    seeds,
    law: caught?.broken?.law ?? '',
    says: caught?.broken?.says ?? '',
  };
}

/** One bug after another; `told` as each is done. */
export async function huntAll(
  engineroom: Engineroom,
  from: number,
  seedsMax: number,
  told: (caught: Caught) => void,
): Promise<readonly Caught[]> {
  const all: Caught[] = [];
  for (const planted of plantedBugs) {
    const caught = await hunt(engineroom, planted, from, seedsMax);
    told(caught);
    all.push(caught);
  }
  return all;
}

export function describeCaught({ name, seed, seeds, law, says }: Caught): string {
  const found = seed === undefined ? `NOT CAUGHT in ${seeds} seeds` : `seed ${seed}`;
  return `${name.padEnd(32)} ${found.padEnd(12)} ${String(seeds).padStart(5)}  ${law}: ${says.slice(0, 120)}`;
}
