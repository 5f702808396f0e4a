import { type Kysely, type RawBuilder, sql } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import { advisoryLockNumber } from './fence-lock.ts';
import { SharedConnectionAdapter } from './pglite.ts';
import { ServerAdapter } from './postgres.ts';

/** Locks that outlive a transaction, and the only handle that may be used under them. */
export interface LockSession<Schema> {
  /**
   * On PostgreSQL the very connection that holds the locks: when it breaks, the server frees the locks and every
   * statement of ours fails, so nobody goes on as owner without being it. Its transactions take turns.
   */
  readonly db: Kysely<Schema>;
  /** False when another session has it. A lock once taken is kept until the session ends. */
  tryLock(name: string): Promise<boolean>;
  /** Throws when the session has it no more, as one that a pooler lends to others, and when the connection broke. */
  assertHeld(name: string): Promise<void>;
}

/** Two who are lent one session of the server both take its locks, as it takes again what it has. */
function sharedSession(): ServiceError {
  const message =
    'a pooler lends the connection for locks to others: LETHE_POSTGRES_LOCK_URL must name the server itself, or a pooler in session mode';
  return new ServiceError('CONFIG_INVALID', message);
}

/**
 * Runs `work` with a session for locks of the schema of `db`; frees them when it ends, however it ends. PostgreSQL:
 * session-level advisory locks on a connection of its own, beside the pool and past any pooler, which would hand the
 * lock to whoever gets the connection next. PGlite: one process has one connection, so a set of names in memory does
 * the same.
 *
 * `mayTakeLong`: for statements over whole tables, which the time-out of all others would end.
 */
export async function withLockSession<Schema, T>(
  db: Kysely<Schema>,
  work: (session: LockSession<Schema>) => Promise<T>,
  { mayTakeLong = false }: { readonly mayTakeLong?: boolean } = {},
): Promise<T> {
  const { adapter } = db.getExecutor();
  if (adapter instanceof SharedConnectionAdapter) {
    return withLocksInMemory(db, adapter.heldLocks, work);
  }
  if (!(adapter instanceof ServerAdapter)) {
    throw new ServiceError('INTERNAL_DEFECT', 'no locks on a database of another driver');
  }
  const lockHandle = adapter.openLockHandle<Schema>(mayTakeLong);
  try {
    return await lockHandle
      .connection()
      .execute(async (connection) => withAdvisoryLocks(connection, work));
  } finally {
    // Ends the connection: the server frees its locks, also when no statement goes through any more.
    await lockHandle.destroy();
  }
}

async function withLocksInMemory<Schema, T>(
  db: Kysely<Schema>,
  heldLocks: Set<string>,
  work: (session: LockSession<Schema>) => Promise<T>,
): Promise<T> {
  const mine: string[] = [];
  const tryLock = async (name: string): Promise<boolean> => {
    if (mine.includes(name)) return true;
    if (heldLocks.has(name)) return false;
    heldLocks.add(name);
    mine.push(name);
    return true;
  };
  const assertHeld = async (name: string): Promise<void> => {
    if (!mine.includes(name) || !heldLocks.has(name)) throw sharedSession();
  };
  try {
    return await work({ db, tryLock, assertHeld });
  } finally {
    for (const name of mine) heldLocks.delete(name);
  }
}

/** The same on a connection that is held already; two at once on one connection are as two behind a pooler. */
export async function withAdvisoryLocks<Schema, T>(
  connection: Kysely<Schema>,
  work: (session: LockSession<Schema>) => Promise<T>,
): Promise<T> {
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(connection);
  const schemaName = rows[0]?.name ?? '';
  const mine = new Set<string>();
  const numberOf = (name: string): bigint => advisoryLockNumber('session', schemaName, name);
  const tryLock = async (name: string): Promise<boolean> => {
    if (mine.has(name)) return true;
    const { rows: answers } = await sql<{ taken: boolean | null }>`
      select case when ${isHeld(numberOf(name))} then null
        else pg_try_advisory_lock(${numberOf(name)}::int8) end as taken`.execute(connection);
    const taken = answers[0]?.taken;
    if (taken === null) throw sharedSession();
    if (taken === true) mine.add(name);
    return taken === true;
  };
  const assertHeld = async (name: string): Promise<void> => {
    const { rows: answers } = await sql<{ held: boolean }>`
      select ${isHeld(numberOf(name))} as held`.execute(connection);
    if (answers[0]?.held !== true) throw sharedSession();
  };
  const result = await Promise.allSettled([work({ db: connection, tryLock, assertHeld })]);
  // So that the next session finds them free at once; where this fails, the end of the connection frees them. Who has
  // none would free those of another whom a pooler lends the connection.
  if (mine.size > 0) {
    await Promise.allSettled([sql`select pg_advisory_unlock_all()`.execute(connection)]);
  }
  const [outcome] = result;
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** Whether the session of the server that runs the statement has the lock: pg_locks has its number in two halves. */
function isHeld(lockNumber: bigint): RawBuilder<boolean> {
  return sql<boolean>`exists (select from pg_locks
    where locktype = 'advisory' and pid = pg_backend_pid() and granted and objsubid = 1
      and (classid::int8 << 32 | objid::int8) = ${lockNumber}::int8)`;
}
