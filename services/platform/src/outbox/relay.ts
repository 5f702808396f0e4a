import { type Kysely, sql } from 'kysely';
import { type LockSession, withLockSession } from '../database/lock-session.ts';
import { failureFields } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog } from '../event-log/port.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';
import { createLoop } from '../lifecycle/loop.ts';
import { createWakeable, type Wakeable } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import { PartitionWorker } from './partition-worker.ts';
import type { BatchLimits, OnSequenced } from './relay-batch.ts';

export interface RelayOptions<Schema> {
  readonly db: Kysely<Schema>;
  readonly eventLog: EventLog;
  /** The topic that this service owns. */
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Runs in the relay's own transaction, with the sequences just given. Awaits nothing but SQL. */
  readonly onSequenced?: OnSequenced<Schema>;
  readonly settings?: Partial<RelaySettings>;
}

export interface RelaySettings extends BatchLimits {
  /** How often to look for rows when nobody calls `wake`. */
  readonly pollMs: number;
  /** Delay after a failure, and the bound of its doubling. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

/** A batch of the log's default size at most: Kafka takes 1 MiB. */
const defaultSettings: RelaySettings = {
  rowsMax: 500,
  bytesMax: 900 * 1024,
  pollMs: 500,
  retryFirstMs: 100,
  retryMaxMs: 10_000,
};

/** Carries committed rows of one topic to the event log: in order, numbered without gaps, each once. */
export interface Relay {
  /**
   * Begins; does not wait for rows, and carries those of an earlier process first. Throws CONFIG_INVALID when the
   * database does not make commits durable.
   */
  start(): Promise<void>;
  /** Ends after the batches on their way; idempotent. */
  stop(): Promise<void>;
  /** After a commit that enqueued something. */
  wake(): void;
  /** A partition that stopped for good, or one that has failed several times in a row. */
  problem(): string | undefined;
}

export function createRelay<Schema>(options: RelayOptions<Schema>): Relay {
  const { db, topic, clock, logger } = options;
  const settings = { ...defaultSettings, ...options.settings };
  const wakeable = createWakeable(clock);
  let workers: readonly Problematic[] = [];
  const loop = createLoop({
    name: `relay of ${topic}`,
    clock,
    pollMs: settings.pollMs,
    run: async (stopping, goesWell) => {
      await withLockSession(db, async (session) => {
        const began = (created: readonly Problematic[]) => (workers = created);
        const looks = { began, looked: goesWell };
        await runSession(session, options, settings, wakeable, stopping, looks);
      });
      return 'again';
    },
    onError: (error, delayMs) => {
      logger.warn(
        { component: 'relay', topic, ...failureFields(error), delayMs },
        'relay starts its session anew',
      );
    },
  });
  return {
    start: async () => {
      await assertDurableCommits(db);
      loop.start();
    },
    stop: () => loop.stop(),
    wake: () => wakeable.wake(),
    problem: () => {
      const problems = [loop.problem(), ...workers.map((worker) => worker.problem())];
      const known = problems.filter((problem) => problem !== undefined);
      return known.length === 0 ? undefined : known.join('; ');
    },
  };
}

interface Problematic {
  problem(): string | undefined;
}

interface SessionLooks {
  readonly began: (workers: readonly Problematic[]) => void;
  /** The database was asked for work, and answered. */
  readonly looked: () => void;
}

/** Looks for pending partitions and sets their workers going, until the session fails or the relay stops. */
async function runSession<Schema>(
  session: LockSession<Schema>,
  options: RelayOptions<Schema>,
  settings: RelaySettings,
  wakeable: Wakeable,
  stopping: AbortSignal,
  looks: SessionLooks,
): Promise<void> {
  const { eventLog, topic, clock, logger, onSequenced } = options;
  const leaving = new AbortController();
  const joined = joinSignals(stopping, leaving.signal);
  const { signal } = joined;
  const ports = { db: session.db, eventLog, limits: settings, onSequenced };
  const workers = Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => {
    const at = { topic, partition };
    return new PartitionWorker({ partition: at, session, ports, clock, logger, settings, signal });
  });
  looks.began(workers);
  try {
    await createCounters(session.db, topic, workers.length);
    // The first look at every partition, pending or not, finds a log that does not fit its table.
    let due = new Set(workers.keys());
    while (!signal.aborted) {
      for (const partition of due) workers[partition]?.work();
      await wakeable.wait(settings.pollMs, signal);
      due = await partitionsWithWork(session.db, topic);
      // A session lasts for as long as its connection does: waiting for its end would keep an old problem for ever.
      looks.looked();
    }
  } finally {
    leaving.abort();
    await Promise.all(workers.map((worker) => worker.ended()));
    joined.release();
  }
}

/** A commit that a crash may undo after the log has its rows would put the log ahead of its table. */
async function assertDurableCommits<Schema>(db: Kysely<Schema>): Promise<void> {
  const { rows } = await sql<{ setting: string }>`
    select current_setting('synchronous_commit') as setting`.execute(db);
  if (rows[0]?.setting !== 'off') return;
  throw new ServiceError(
    'CONFIG_INVALID',
    'synchronous_commit is off: set it to on for the user of this service',
  );
}

async function createCounters<Schema>(
  db: Kysely<Schema>,
  topic: string,
  count: number,
): Promise<void> {
  await sql`insert into partition_counters (topic, partition)
    select ${topic}, partition from generate_series(0, ${count - 1}::int4) as partition
    on conflict (topic, partition) do nothing`.execute(db);
}

/** The one query of an idle relay: an index look-up per partition. */
async function partitionsWithWork<Schema>(db: Kysely<Schema>, topic: string): Promise<Set<number>> {
  const { rows } = await sql<{ partition: number }>`
    select counters.partition from partition_counters as counters
    where counters.topic = ${topic} and (counters.batch_row_ids is not null or exists (
      select 1 from outbox
      where outbox.topic = counters.topic and outbox.partition = counters.partition))`.execute(db);
  return new Set(rows.map((row) => row.partition));
}
