import { sql } from 'kysely';
import { failureFields } from '../errors/failure.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createLoop, type Loop } from '../lifecycle/loop.ts';
import type { Logger } from '../log/logger.ts';
import type { PgliteDatabases } from './pglite.ts';

export interface PgliteVacuumOptions {
  readonly databases: PgliteDatabases;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often to look. Default a minute, PostgreSQL's autovacuum_naptime. */
  readonly pollMs?: number;
}

/** As autovacuum decides, with a higher floor: a table of a few rows is not worth a turn. */
const deadRowsMin = 1_000;
const deadShareMin = 0.2;

/**
 * Vacuums tables that have many dead rows: PGlite has no autovacuum, and an outbox would grow by 12 MB for every 10,000
 * events that went through it. One table a turn, so that other transactions come in between (80 ms after 70,000 rows).
 */
export function createPgliteVacuum(options: PgliteVacuumOptions): Loop {
  const { clock, logger } = options;
  return createLoop({
    name: 'vacuum of the embedded database',
    clock,
    pollMs: options.pollMs ?? 60_000,
    run: async (signal) => {
      await vacuumDeadRows(options.databases, signal);
      return 'idle';
    },
    onError: (error, delayMs) => {
      logger.warn({ component: 'vacuum', ...failureFields(error), delayMs }, 'vacuum failed');
    },
  });
}

/** One look at all tables; answers how many were vacuumed. */
export async function vacuumDeadRows(
  databases: PgliteDatabases,
  signal?: AbortSignal,
): Promise<number> {
  const db = databases.database('public');
  const { rows } = await sql<{ statement: string }>`
    select format('vacuum %I.%I', schemaname, relname) as statement from pg_stat_user_tables
    where n_dead_tup > ${deadRowsMin}::int8 + ${deadShareMin}::float8 * n_live_tup
    order by n_dead_tup desc`.execute(db);
  let vacuumed = 0;
  for (const { statement } of rows) {
    if (signal?.aborted === true) break;
    await sql.raw(statement).execute(db);
    vacuumed += 1;
  }
  return vacuumed;
}
