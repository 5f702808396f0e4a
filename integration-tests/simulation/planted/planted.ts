import { portBugs } from './ports.ts';
import { type Planted, statementBugs } from './statements.ts';

/** Every planted bug; a mutation run shows that each is caught. */
export const plantedBugs: readonly Planted[] = [...statementBugs, ...portBugs];

/** Throws RangeError for a name that no bug has. */
export function plantedNamed(name: string): Planted {
  const found = plantedBugs.find((each) => each.name === name);
  if (found === undefined) {
    throw new RangeError(
      `no planted bug "${name}": ${plantedBugs.map((each) => each.name).join(', ')}`,
    );
  }
  return found;
}
