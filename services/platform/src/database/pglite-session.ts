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
  #schemaName: string | undefined;

  constructor(pglite: PGlite, watch: Watch) {
    this.#pglite = pglite;
    this.#watch = watch;
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
    try {
      const result: Results<Row> = await this.#watch(() =>
        this.#pglite.query<Row>(query.sql, [...query.parameters]),
      );
      return { rows: result.rows, numAffectedRows: BigInt(result.affectedRows ?? 0) };
    } catch (error) {
      throw sanitizeDatabaseError(error);
    }
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
    try {
      const results = await this.#watch(() => this.#pglite.exec(statements));
      return results.at(-1)?.command;
    } catch (error) {
      throw sanitizeDatabaseError(error);
    }
  }
}
