import type { PGlite, Results } from '@electric-sql/pglite';
import {
  AbortedTransactionError,
  type CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { sanitizeDatabaseError } from './database-error.ts';

/** Runs `work`, and tells somebody when it takes too long to be alive. */
export type Watch = <T>(work: () => Promise<T>) => Promise<T>;

/** PGlite's one connection. Whoever uses it has its turn. */
export class PgliteSession implements DatabaseConnection {
  readonly #pglite: PGlite;
  readonly #watch: Watch;
  readonly #knownSchemas = new Set<string>();
  readonly #onStopped: (reason: string) => void;
  #schemaName: string | undefined;
  #stopped: ServiceError | undefined;

  /** `onStopped` is told when the database gave up: nothing but a new process gets it back. */
  constructor(pglite: PGlite, watch: Watch, onStopped: (reason: string) => void) {
    this.#pglite = pglite;
    this.#watch = watch;
    this.#onStopped = onStopped;
  }

  /** Unqualified names mean this schema until the next call; creates it when it does not exist. */
  async useSchema(schemaName: string): Promise<void> {
    if (this.#schemaName === schemaName) return;
    this.#schemaName = undefined;
    const quoted = `"${schemaName}"`;
    const create = this.#knownSchemas.has(schemaName)
      ? ''
      : `create schema if not exists ${quoted}; `;
    await this.control(`${create}set search_path to ${quoted}`);
    this.#knownSchemas.add(schemaName);
    this.#schemaName = schemaName;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const result = await this.#run<Results<Row>>(() =>
      this.#pglite.query<Row>(query.sql, [...query.parameters]),
    );
    return { rows: result.rows, numAffectedRows: BigInt(result.affectedRows ?? 0) };
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new ServiceError('INTERNAL_DEFECT', 'PGlite has no cursors: page through the rows');
  }

  async begin(settings: TransactionSettings): Promise<void> {
    const isolation =
      settings.isolationLevel === undefined ? '' : ` isolation level ${settings.isolationLevel}`;
    const access = settings.accessMode === undefined ? '' : ` ${settings.accessMode}`;
    await this.control(`start transaction${isolation}${access}`);
  }

  async commit(): Promise<void> {
    // After a statement failed, PostgreSQL answers COMMIT with the tag ROLLBACK and no error.
    const tag = await this.control('commit');
    if (tag === 'ROLLBACK') throw new AbortedTransactionError();
  }

  async rollback(): Promise<void> {
    await this.control('rollback');
  }

  /** Statements without parameters and rows; answers the last command tag. */
  async control(statements: string): Promise<string | undefined> {
    const results = await this.#run(() => this.#pglite.exec(statements));
    return results.at(-1)?.command;
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    // The statement after a panic would never come back.
    if (this.#stopped !== undefined) throw this.#stopped;
    try {
      return await this.#watch(work);
    } catch (error) {
      const clean = sanitizeDatabaseError(error);
      if (isLastWord(error)) {
        const said = clean instanceof Error ? clean.message : 'no reason given';
        const reason = `the embedded database has stopped: ${said}`;
        const isFull = clean instanceof ServiceError && clean.reason === 'STORE_FULL';
        const code = isFull ? 'STORE_FULL' : 'STORE_UNAVAILABLE';
        this.#stopped = new ServiceError(code, reason, { cause: clean });
        this.#onStopped(reason);
      }
      throw clean;
    }
  }
}

/** Severities after which a PostgreSQL backend is gone. */
function isLastWord(error: unknown): boolean {
  const severity: unknown = error instanceof Error ? Reflect.get(error, 'severity') : undefined;
  return severity === 'PANIC' || severity === 'FATAL';
}
