import { isSame, ordered, questionOf } from './answers.ts';
import { Identities } from './identities.ts';
import type { Qualify } from './qualify.ts';
import type { StatementKind } from './statements.ts';
import { type Answer, StatementError, type Wire } from './wire.ts';

/** A statement that changed or locked something, with what it answered. */
interface Applied {
  readonly schema: string;
  readonly text: string;
  readonly parameters: readonly unknown[];
  readonly answer: Answer;
  /** The identity that its first row got. */
  readonly firstIdentity: number | undefined;
}

/** A transaction of a simulated session. It touches the database with its first write or row lock. */
export interface EngineTransaction {
  readonly schema: string;
  applied: Applied[];
  isOver: boolean;
  failure: StatementError | undefined;
}

interface Level {
  readonly transaction: EngineTransaction;
  readonly savepoint: string;
  /** What others did inside this level's savepoint: done again when the level is rolled back. */
  readonly after: Applied[];
}

/**
 * READ COMMITTED for many transactions on PGlite's one connection. Schemas are disjoint, so transactions of different
 * schemas lie in one another as savepoints. Of one schema only one can be there: when another has to run, the first is
 * rolled back, and executed again from its first write when its turn comes. What a transaction read before its first
 * write holds as it was, which is what READ COMMITTED would have answered. Should a statement answer otherwise the
 * second time, the transaction fails with 40001, as a server may let it at any time: nobody ever sees what a server
 * could not have shown.
 */
export interface Engine {
  readonly kindOf: (text: string) => StatementKind;
  /** Whether a transaction of this schema other than `own` has to be rolled back for a statement. */
  isBusy(schema: string, own: EngineTransaction | undefined): boolean;
  execute(
    schema: string,
    transaction: EngineTransaction | undefined,
    text: string,
    parameters: readonly unknown[],
  ): Answer;
  begin(schema: string): EngineTransaction;
  commit(transaction: EngineTransaction): void;
  rollback(transaction: EngineTransaction): void;
  /** Why this run shows nothing: the simulator itself could not keep up what a database keeps up. */
  defect(): string | undefined;
  /** Statements sent to PostgreSQL, transactions executed again, and those of them that failed. */
  counts(): { readonly statements: number; readonly repeats: number; readonly conflicts: number };
}

export interface EngineParts {
  readonly wire: Wire;
  readonly qualify: Qualify;
  readonly kindOf: (text: string) => StatementKind;
  /** Answers about tables and settings: they outlive a run. */
  readonly catalogue: Map<string, Answer>;
}

export function createEngine(parts: EngineParts): Engine {
  return new SavepointEngine(parts);
}

class SavepointEngine implements Engine {
  readonly kindOf: (text: string) => StatementKind;
  readonly #wire: Wire;
  readonly #qualify: Qualify;
  readonly #catalogue: Map<string, Answer>;
  /** Of committed rows, by schema, until something is written there. */
  readonly #reads = new Map<string, Map<string, Answer>>();
  readonly #identities: Identities;
  #levels: Level[] = [];
  #savepoints = 0;
  #defect: string | undefined;
  #counts = { statements: 0, repeats: 0, conflicts: 0 };

  constructor({ wire, catalogue, qualify, kindOf }: EngineParts) {
    this.kindOf = kindOf;
    this.#wire = wire;
    this.#identities = new Identities(wire);
    this.#catalogue = catalogue;
    this.#qualify = qualify;
  }

  readonly counts = () => this.#counts;
  readonly defect = () => this.#defect;

  isBusy(schema: string, own: EngineTransaction | undefined): boolean {
    return this.#levels.some(
      ({ transaction }) =>
        transaction.schema === schema && transaction !== own && !transaction.isOver,
    );
  }

  begin(schema: string): EngineTransaction {
    return { schema, applied: [], isOver: false, failure: undefined };
  }

  execute(
    schema: string,
    transaction: EngineTransaction | undefined,
    text: string,
    parameters: readonly unknown[],
  ): Answer {
    const kind = this.kindOf(text);
    if (kind.isCatalogue) return this.#askCatalogue(schema, text, parameters);
    if (transaction?.failure !== undefined) throw abortedTransaction();
    this.#suspendOthers(schema, transaction);
    if (transaction !== undefined && (kind.writes || transaction.applied.length > 0)) {
      return this.#executeIn(transaction, kind, text, parameters);
    }
    if (!kind.writes) return this.#read(schema, kind, text, parameters);
    return this.#executeAlone(schema, kind, text, parameters);
  }

  commit(transaction: EngineTransaction): void {
    if (transaction.failure !== undefined) {
      this.rollback(transaction);
      throw abortedTransaction();
    }
    if (transaction.applied.length > 0) {
      this.#suspendOthers(transaction.schema, transaction);
      this.#materialise(transaction);
      const at = this.#levels.findIndex((level) => level.transaction === transaction);
      for (const lower of this.#levels.slice(0, at)) lower.after.push(...transaction.applied);
    }
    // Its savepoint goes with the next one, in one call.
    transaction.isOver = true;
  }

  rollback(transaction: EngineTransaction): void {
    transaction.isOver = true;
    this.#unwind(transaction);
  }

  #askCatalogue(schema: string, text: string, parameters: readonly unknown[]): Answer {
    const question = questionOf(schema + text, parameters);
    const known = this.#catalogue.get(question) ?? this.#sendInPath(schema, text, parameters);
    this.#catalogue.set(question, known);
    return known;
  }

  #read(schema: string, kind: StatementKind, text: string, parameters: readonly unknown[]): Answer {
    const reads = this.#reads.get(schema) ?? new Map<string, Answer>();
    this.#reads.set(schema, reads);
    const question = questionOf(text, parameters);
    const known = reads.get(question) ?? ordered(this.#send(schema, text, parameters), kind);
    reads.set(question, known);
    return known;
  }

  #executeAlone(
    schema: string,
    kind: StatementKind,
    text: string,
    parameters: readonly unknown[],
  ): Answer {
    const alone = this.begin(schema);
    try {
      const answer = this.#executeIn(alone, kind, text, parameters);
      this.commit(alone);
      return answer;
    } catch (error) {
      this.rollback(alone);
      throw error;
    }
  }

  #executeIn(
    transaction: EngineTransaction,
    kind: StatementKind,
    text: string,
    parameters: readonly unknown[],
  ): Answer {
    this.#materialise(transaction);
    const { schema } = transaction;
    const firstIdentity = this.#identities.next(schema, kind);
    try {
      const answer = ordered(this.#send(schema, text, parameters), kind);
      this.#noteWrite(schema, kind, answer);
      const applied = { schema, text, parameters, answer, firstIdentity };
      const at = this.#levels.findIndex((level) => level.transaction === transaction);
      for (const upper of this.#levels.slice(at + 1)) upper.after.push(applied);
      transaction.applied.push(applied);
      return answer;
    } catch (error) {
      transaction.failure = error instanceof StatementError ? error : abortedTransaction();
      this.#unwind(transaction);
      throw error;
    }
  }

  /** Its savepoint stands and its statements have been executed. Throws 40001 when they answer otherwise now. */
  #materialise(transaction: EngineTransaction): void {
    if (this.#levels.some((level) => level.transaction === transaction)) return;
    this.#savepoints += 1;
    const savepoint = `t${this.#savepoints}`;
    this.#wire.control(`${this.#dropFinishedLevels()}savepoint ${savepoint}`);
    this.#levels.push({ transaction, savepoint, after: [] });
    if (transaction.applied.length === 0) return;
    this.#counts.repeats += 1;
    for (const applied of transaction.applied) {
      if (this.#repeats(applied)) continue;
      this.#counts.conflicts += 1;
      transaction.failure = new StatementError('could not serialize access', '40001');
      this.#unwind(transaction);
      throw transaction.failure;
    }
  }

  #repeats(applied: Applied): boolean {
    const { schema, text, parameters, firstIdentity } = applied;
    const kind = this.kindOf(text);
    const restore = this.#identities.repeatFrom(schema, kind, firstIdentity);
    try {
      const answer = ordered(this.#send(schema, text, parameters), kind);
      this.#reads.get(schema)?.clear();
      return answer.affected === applied.answer.affected && isSame(answer, applied.answer);
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      return false;
    } finally {
      restore();
    }
  }

  #suspendOthers(schema: string, own: EngineTransaction | undefined): void {
    const other = this.#levels.find(
      ({ transaction }) =>
        transaction.schema === schema && transaction !== own && !transaction.isOver,
    );
    if (other !== undefined) this.#unwind(other.transaction);
  }

  /** Takes the transaction off the connection with everything above it, and does again what others did meanwhile. */
  #unwind(transaction: EngineTransaction): void {
    const at = this.#levels.findIndex((level) => level.transaction === transaction);
    const level = this.#levels[at];
    if (level === undefined) return;
    this.#levels = this.#levels.slice(0, at);
    this.#wire.control(
      `rollback to savepoint ${level.savepoint}; release savepoint ${level.savepoint}`,
    );
    this.#reads.clear();
    for (const applied of level.after) {
      if (this.#repeats(applied)) continue;
      // Whoever runs the statement takes this for an error of the database; the run must not count.
      this.#defect ??= `cannot be done again: ${applied.text}`;
      throw new Error(this.#defect);
    }
  }

  /** What it takes to be rid of finished transactions that nothing lies on. */
  #dropFinishedLevels(): string {
    let releases = '';
    while (this.#levels.at(-1)?.transaction.isOver === true) {
      releases += `release savepoint ${this.#levels.pop()?.savepoint}; `;
    }
    return releases;
  }

  #send(schema: string, text: string, parameters: readonly unknown[]): Answer {
    this.#counts.statements += 1;
    return this.#wire.query(this.#qualify(schema, text), parameters);
  }

  /** Says what the current schema is first. */
  #sendInPath(schema: string, text: string, parameters: readonly unknown[]): Answer {
    this.#wire.control(`set search_path to "${schema}"`);
    const answer = this.#wire.query(text, parameters);
    this.#wire.control('set search_path to pg_catalog');
    return answer;
  }

  #noteWrite(schema: string, kind: StatementKind, answer: Answer): void {
    if (kind.writes) this.#reads.get(schema)?.clear();
    this.#identities.note(schema, kind, answer);
  }
}

const abortedTransaction = (): StatementError =>
  new StatementError('current transaction is aborted', '25P02');
