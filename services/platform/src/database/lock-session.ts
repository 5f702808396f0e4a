import { type Kysely, sql } from 'kysely';
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
  try {
    return await work({ db, tryLock });
  } finally {
    for (const name of mine) heldLocks.delete(name);
  }
}

async function withAdvisoryLocks<Schema, T>(
  connection: Kysely<Schema>,
  work: (session: LockSession<Schema>) => Promise<T>,
): Promise<T> {
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(connection);
  const schemaName = rows[0]?.name ?? '';
  const mine = new Set<string>();
  const tryLock = async (name: string): Promise<boolean> => {
    if (mine.has(name)) return true;
    const lockNumber = advisoryLockNumber('session', schemaName, name);
    const { rows: answers } = await sql<{ taken: boolean }>`
      select pg_try_advisory_lock(${lockNumber}::int8) as taken`.execute(connection);
    const taken = answers[0]?.taken === true;
    if (taken) mine.add(name);
    return taken;
  };
  const result = await Promise.allSettled([work({ db: connection, tryLock })]);
  // So that the next session finds them free at once; where this fails, the end of the connection frees them.
  await Promise.allSettled([sql`select pg_advisory_unlock_all()`.execute(connection)]);
  const [outcome] = result;
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
