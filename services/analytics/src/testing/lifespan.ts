import type { Kysely, KyselyPlugin } from 'kysely';
import type { Ledger } from '../ledger/ledger.ts';

/** What a process that was killed throws from then on. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** A process that is killed before its n-th step: a statement to PostgreSQL, or either side of an insert. */
export interface Lifespan {
  /** Steps that were begun. */
  steps(): number;
  database<Schema>(db: Kysely<Schema>): Kysely<Schema>;
  ledger(ledger: Pick<Ledger, 'insert'>): Pick<Ledger, 'insert'>;
}

export function createLifespan(stepsMax: number): Lifespan {
  let steps = 0;
  const step = (): void => {
    if (steps >= stepsMax) throw new Killed(`killed before step ${steps + 1}`);
    steps += 1;
  };
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      step();
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return {
    steps: () => steps,
    database: (db) => db.withPlugin(plugin),
    ledger: ({ insert }) => ({
      insert: async (rows) => {
        step();
        await insert(rows);
        step();
      },
    }),
  };
}
