import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { sanitizeDatabaseError } from '@lethe/platform/database/database-error.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import type { Scheduler } from '../core/scheduler.ts';
import { createAdvisoryLocks } from './advisory-locks.ts';
import type { Engine, EngineTransaction } from './engine.ts';
import { type Answer, StatementError } from './wire.ts';

/** What befalls a commit: nothing, its answer is lost, or the connection breaks before it. */
export type CommitFate = 'answered' | 'answer-lost' | 'never-arrived';

export interface DatabaseFaults {
  /** How long a commit is on its way, simulated milliseconds; asked of transactions that rely on a fence. */
  commitDelayMs(process: SimulatedProcess): number;
  /** Asked when a commit is about to run. */
  commitFate(schema: string, process: SimulatedProcess): CommitFate;
}

/** How planted bugs change what reaches a database. */
export interface Tampering {
  readonly statement?: (call: StatementCall) => StatementVerdict | undefined;
  /** Commits of this schema that failed are taken for done. */
  readonly swallowsCommitErrors?: (schema: string) => boolean;
}

export interface StatementCall {
  readonly schema: string;
  readonly text: string;
  readonly parameters: readonly unknown[];
}

export interface StatementVerdict {
  /** Instead of the statement's own. */
  readonly text?: string;
  readonly parameters?: readonly unknown[];
  /** It does not run, or not now, and this is its answer. */
  readonly answer?: Answer;
  /** It runs in a transaction of its own once this one is committed. */
  readonly runsAfterCommit?: true;
  /** Changes what it answers. */
  readonly map?: (answer: Answer) => Answer;
}

/** A connection to one schema's database. */
export interface Session extends DatabaseConnection {
  begin(): void;
  commit(): Promise<void>;
  rollback(): void;
  /** The client ended it: locks and transaction are gone. */
  end(): void;
}

/** The database of one service: a schema, its advisory locks and its connections. */
export interface SimulatedDatabase {
  readonly schema: string;
  connect(process: SimulatedProcess): Session;
  /** Every connection of the process breaks, as by a restart of the server or a network that fell apart. */
  breakConnections(process: SimulatedProcess): void;
}

interface DatabasePorts {
  readonly engine: Engine;
  readonly scheduler: Scheduler;
  readonly faults: DatabaseFaults;
  readonly tampering: Tampering;
}

export function createSimulatedDatabase(schema: string, ports: DatabasePorts): SimulatedDatabase {
  const state: DatabaseState = {
    ...ports,
    schema,
    locks: createAdvisoryLocks(),
    sessions: new Set(),
  };
  const breakConnections = (process: SimulatedProcess): void => {
    for (const session of state.sessions) if (session.process === process) session.end();
  };
  const known = new WeakSet<SimulatedProcess>();
  return {
    schema,
    connect: (process) => {
      if (!known.has(process)) process.onDeath(() => breakConnections(process));
      known.add(process);
      const session = new SimulatedSession(state, process);
      state.sessions.add(session);
      return session;
    },
    breakConnections,
  };
}

interface DatabaseState extends DatabasePorts {
  readonly schema: string;
  readonly locks: ReturnType<typeof createAdvisoryLocks>;
  readonly sessions: Set<SimulatedSession>;
}

class SimulatedSession implements Session {
  readonly process: SimulatedProcess;
  readonly #state: DatabaseState;
  #transaction: EngineTransaction | undefined;
  #begunMs = 0;
  #isOver = false;
  readonly #afterCommit: StatementCall[] = [];

  constructor(state: DatabaseState, process: SimulatedProcess) {
    this.#state = state;
    this.process = process;
  }

  /** When the transaction began, simulated; undefined outside one. */
  get begunMs(): number | undefined {
    return this.#transaction === undefined ? undefined : this.#begunMs;
  }

  begin(): void {
    this.#transaction = this.#state.engine.begin(this.#state.schema);
    this.#begunMs = this.#state.scheduler.nowMs();
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { schema, tampering } = this.#state;
    const given: StatementCall = { schema, text: query.sql, parameters: query.parameters };
    const verdict = tampering.statement?.(given) ?? {};
    const call = { ...given, ...verdict };
    if (verdict.runsAfterCommit === true) this.#afterCommit.push(call);
    const answer = verdict.answer ?? (await this.#pass(call));
    const { rows, affected } = verdict.map?.(answer) ?? answer;
    // The caller knows what its statement answers, as with every driver.
    return { rows: rows as Row[], numAffectedRows: BigInt(affected) };
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new RangeError('cursors are not simulated');
  }

  async commit(): Promise<void> {
    const { scheduler, schema, engine, tampering, faults } = this.#state;
    const isSealed = this.#transaction?.applied.some(({ text }) => sealing.test(text)) === true;
    const arrivesMs = scheduler.nowMs() + (isSealed ? faults.commitDelayMs(this.process) : 0);
    try {
      await scheduler.gate({
        process: this.process,
        label: `commit ${schema}`,
        mayRun: () => scheduler.nowMs() >= arrivesMs,
        isUnwelcome: () => engine.isBusy(schema, this.#transaction),
        run: () => this.#commit(),
      });
    } catch (error) {
      if (tampering.swallowsCommitErrors?.(schema) !== true) throw error;
    }
    for (const call of this.#afterCommit.splice(0)) await this.#pass(call);
  }

  rollback(): void {
    if (this.#transaction !== undefined) this.#state.engine.rollback(this.#transaction);
    this.#endTransaction();
  }

  end(): void {
    this.#isOver = true;
    this.rollback();
    this.#state.locks.release(this);
    this.#state.sessions.delete(this);
  }

  /** Waits for its turn, and for its lock. */
  async #pass({ text, parameters }: StatementCall): Promise<Answer> {
    const { engine, scheduler, schema, locks } = this.#state;
    const { lock, label } = engine.kindOf(text);
    const numbers = lock === undefined ? [] : lockNumbersOf(parameters);
    const waits = lock === 'transaction' || lock === 'transaction-shared';
    const isShared = lock === 'transaction-shared';
    const mayRun = (): boolean =>
      this.#isOver || locks.mayTake(this.#lockOwner(), numbers, isShared);
    const isUnwelcome = (): boolean => engine.isBusy(schema, this.#transaction);
    return scheduler.gate({
      process: this.process,
      label: `sql ${schema} ${label}`,
      ...(waits ? { mayRun } : { isUnwelcome }),
      run: () => this.#run(text, parameters, numbers),
    });
  }

  #commit(): void {
    this.#assertConnected();
    const { engine, faults, schema } = this.#state;
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    const fate = faults.commitFate(schema, this.process);
    if (fate === 'never-arrived') {
      this.end();
      throw connectionLost();
    }
    try {
      engine.commit(transaction);
    } catch (error) {
      throw clean(error);
    } finally {
      this.#endTransaction();
    }
    if (fate === 'answer-lost') {
      this.end();
      throw connectionLost();
    }
  }

  #endTransaction(): void {
    if (this.#transaction === undefined) return;
    this.#state.locks.release(this.#transaction);
    this.#transaction = undefined;
  }

  #lockOwner(): object {
    return this.#transaction ?? this;
  }

  #run(text: string, parameters: readonly unknown[], numbers: readonly bigint[]): Answer {
    this.#assertConnected();
    const { engine, schema, locks } = this.#state;
    const { lock, asksOpenTransactions } = engine.kindOf(text);
    switch (lock) {
      case 'transaction':
      case 'transaction-shared':
        locks.take(this.#lockOwner(), numbers, lock === 'transaction-shared');
        return noRows;
      case 'session': {
        const taken = locks.mayTake(this, numbers, false);
        if (taken) locks.take(this, numbers, false);
        return { ...noRows, rows: [{ taken }] };
      }
      case 'unlock-session':
        locks.release(this);
        return noRows;
      case undefined:
    }
    if (asksOpenTransactions) return this.#ageOfOthers();
    try {
      return engine.execute(schema, this.#transaction, text, parameters);
    } catch (error) {
      throw clean(error);
    }
  }

  /** As pg_stat_activity would have it, in seconds. */
  #ageOfOthers(): Answer {
    const { sessions, scheduler } = this.#state;
    const begun = [...sessions].flatMap((each) => each.begunMs ?? []);
    const age = begun.length === 0 ? null : scheduler.nowMs() - Math.min(...begun);
    return { ...noRows, rows: [{ age }] };
  }

  #assertConnected(): void {
    if (this.#isOver) throw connectionLost();
  }
}

/** What a transaction does that seals under a lease, or makes a key to seal with. */
const sealing = /insert into "?(event_index|data_keys)/;

const noRows: Answer = { rows: [], affected: 0, command: 'SELECT' };

function lockNumbersOf(parameters: readonly unknown[]): readonly bigint[] {
  return parameters.flat().filter((each): each is bigint => typeof each === 'bigint');
}

function connectionLost(): Error {
  return clean(new StatementError('the connection to the server was lost', '08006'));
}

function clean(error: unknown): Error {
  const found = sanitizeDatabaseError(error);
  return found instanceof Error ? found : new Error('not an error was thrown');
}
