import { ServiceError } from '../errors/service-error.ts';

/**
 * What a database says about a statement that failed, without the statement's values: drivers put parameters,
 * details ("Key (x)=(y) already exists") and quoted input on their errors, and an error may be logged.
 */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  /** PostgreSQL's five-character code, such as 23505 for a broken unique constraint. */
  readonly sqlState: string;
  readonly constraint: string | undefined;
  readonly table: string | undefined;

  constructor(sqlState: string, message: string, constraint?: string, table?: string) {
    super(message);
    this.sqlState = sqlState;
    this.constraint = constraint;
    this.table = table;
  }
}

/** SQLSTATE of a broken unique constraint. */
export const uniqueViolation = '23505';

/** SQLSTATE of a file that could not grow. */
const diskFull = '53100';

/**
 * Classes of SQLSTATE after which the same transaction may succeed: connection, rollback by the server
 * (serialization, deadlock), resources, operator intervention, system error.
 * https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
const retryableClasses: ReadonlySet<string> = new Set(['08', '40', '53', '57', '58']);

/** Of other classes: idle in a transaction for too long, a standby just before it takes over, a lock not had in time. */
const retryableStates: ReadonlySet<string> = new Set(['25P03', '25006', '55P03']);

/**
 * What the server refuses until somebody corrects a setting or a right, and which; the advice goes to callers too, so it
 * names nobody.
 */
const refusals: ReadonlyMap<string, string> = new Map([
  ['28P01', 'it refuses the password: correct what the file of LETHE_POSTGRES_PASSWORD_FILE holds'],
  ['28000', 'it refuses the user: correct LETHE_POSTGRES_URL, LETHE_POSTGRES_TLS or pg_hba.conf'],
  ['3D000', 'it has no such database: create it, or correct LETHE_POSTGRES_URL'],
  ['42501', 'it denies a right: give the user what docs/operators/postgresql.md lists'],
]);

/** Codes whose message quotes input. */
const quotingClasses: ReadonlySet<string> = new Set(['22', '23']);

function textOf(source: object, field: string): string | undefined {
  const value: unknown = Reflect.get(source, field);
  return typeof value === 'string' ? value : undefined;
}

/**
 * Turns a driver's error into one without values: STORE_FULL on a full disk, STORE_ACCESS_DENIED for a login or a right
 * that the server refuses, STORE_UNAVAILABLE when a retry may succeed otherwise, else a DatabaseError. Anything that is not a server's answer comes back as it was.
 */
export function sanitizeDatabaseError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const sqlState = textOf(error, 'code');
  if (sqlState === undefined || !/^[0-9A-Z]{5}$/.test(sqlState)) return error;
  const stateClass = sqlState.slice(0, 2);
  const constraint = textOf(error, 'constraint');
  const table = textOf(error, 'table');
  const where = [table, constraint].filter((name) => name !== undefined).join('.');
  const said = quotingClasses.has(stateClass) ? 'a value was refused' : error.message;
  const clean = new DatabaseError(
    sqlState,
    `${said} (SQLSTATE ${sqlState}${where === '' ? '' : `, ${where}`})`,
    constraint,
    table,
  );
  if (sqlState === diskFull) {
    const message = `the disk of the database is full: ${clean.message}`;
    return new ServiceError('STORE_FULL', message, { cause: clean });
  }
  const refusal = refusals.get(sqlState);
  if (refusal !== undefined) {
    const message = `PostgreSQL does not let the service in (SQLSTATE ${sqlState}): ${refusal}.`;
    return new ServiceError('STORE_ACCESS_DENIED', message, { cause: clean });
  }
  if (!retryableClasses.has(stateClass) && !retryableStates.has(sqlState)) return clean;
  return new ServiceError('STORE_UNAVAILABLE', `the database refused for now: ${clean.message}`, {
    cause: clean,
  });
}
