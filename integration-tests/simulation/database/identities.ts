import type { StatementKind } from './statements.ts';
import type { Answer, Wire } from './wire.ts';

const identityColumns = { outbox: 'row_id', applied: 'place', tenants: 'tenant_number' } as const;

/** What identity columns count: sequences are not rolled back, so an insert that is done again is given its numbers. */
export class Identities {
  readonly #wire: Wire;
  readonly #next = new Map<string, number>();

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The number that the next row gets; undefined where none is counted. */
  next(schema: string, { counts }: StatementKind): number | undefined {
    return counts && (this.#next.get(`${schema}.${counts}`) ?? 1);
  }

  note(schema: string, kind: StatementKind, answer: Answer): void {
    if (kind.counts === undefined) return;
    // The one tenant of an insert takes its number also when it turns out to be there already.
    const taken = kind.counts === 'tenants' ? 1 : answer.affected;
    this.#next.set(`${schema}.${kind.counts}`, (this.next(schema, kind) ?? 1) + taken);
  }

  /** Lets the next insert begin with `first` again; answers what undoes that. */
  repeatFrom(schema: string, kind: StatementKind, first: number | undefined): () => void {
    if (kind.counts === undefined || first === undefined) return () => {};
    const sequence = `${schema}.${kind.counts}_${identityColumns[kind.counts]}_seq`;
    const next = this.next(schema, kind) ?? 1;
    this.#wire.control(`select setval('${sequence}', ${first}, false)`);
    return () => {
      this.#wire.control(`select setval('${sequence}', ${next}, false)`);
    };
  }
}
