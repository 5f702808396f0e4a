import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from '@lethe/cli/generator/random.ts';
import { startLethe, type RunningLethe } from './lethe.ts';
import type { ProcessKeeper } from './processes.ts';

/** A tour that is killed again and again: which one, how often, and where. */
export interface KillPlan {
  readonly seed: string;
  readonly events: number;
  readonly tenants: number;
  readonly days: number;
  /** While the server starts; while events are streamed; while a person is erased. */
  readonly kills: {
    readonly starting: number;
    readonly streaming: number;
    readonly erasing: number;
  };
}

/** A moment of a running tour. */
export interface Moment {
  readonly phase: keyof KillPlan['kills'];
  readonly name: string;
  /** Asked again and again. */
  readonly hasCome: (tour: LivingTour) => boolean;
  readonly thenMs: number;
}

/** One life of the tour, from its start to its kill. */
export interface LivingTour {
  readonly dataFolder: string;
  /** Records that lay on the log when it started. */
  readonly recordsBefore: number;
  /** The server info that lay there when it started: of a former life. */
  readonly infoBefore: string;
}

const ports = ['--port', '0', '--health-port', '0'];

/** Starts `lethe up --tour --once` on a folder, with the plan's help desk. */
export function startTour(
  keeper: ProcessKeeper,
  dataFolder: string,
  { events, tenants, days }: KillPlan,
): RunningLethe {
  const dayMs = 24 * 60 * 60 * 1000;
  const anchor = new Date(Math.floor(Date.now() / dayMs) * dayMs).toISOString().slice(0, 10);
  const size = ['--tenants', String(tenants), '--days', String(days), '--events', String(events)];
  const where = ['--data', dataFolder, '--anchor', anchor, ...ports];
  return startLethe(keeper, ['up', '--tour', '--once', ...where, '--seed', 'kill-nine', ...size]);
}

/**
 * The moments of a plan, in the order in which they come. Those of the streaming are spread over its events: each waits
 * until so many records are on the log, and for one that this life has added, or else a life that still sends again what
 * the former one had stored would be killed there.
 */
export function momentsOf(plan: KillPlan, random: SeededRandom): readonly Moment[] {
  const { starting, streaming, erasing } = plan.kills;
  const starts = Array.from({ length: starting }, (): Moment => {
    const thenMs = random.integer(300, 4_000);
    return { phase: 'starting', name: `${thenMs} ms after the start`, hasCome: () => true, thenMs };
  });
  const streams = Array.from({ length: streaming }, (_, index): Moment => {
    const share = (index + random.integer(0, 99) / 100) / streaming;
    const records = Math.floor(plan.events * (0.01 + 0.97 * share));
    return {
      phase: 'streaming',
      name: `after ${records} of ${plan.events} events`,
      hasCome: ({ dataFolder, recordsBefore }) =>
        recordsOnLog(dataFolder) >= Math.max(records, recordsBefore + 1),
      thenMs: random.integer(0, 50),
    };
  });
  const erasures = Array.from({ length: erasing }, (): Moment => {
    const thenMs = random.integer(0, 300);
    return {
      phase: 'erasing',
      name: `${thenMs} ms into the erasure, or into going on with it`,
      hasCome: ({ dataFolder, infoBefore }) =>
        stageOf(dataFolder) === 'erasing' && serverInfoOf(dataFolder) !== infoBefore,
      thenMs,
    };
  });
  return [...starts, ...streams, ...erasures];
}

/** Runs the tour until the moment, and kills client and server; answers the records that lay on the log then. */
export async function killTour(
  keeper: ProcessKeeper,
  dataFolder: string,
  plan: KillPlan,
  { name, hasCome, thenMs }: Moment,
): Promise<number> {
  const living: LivingTour = {
    dataFolder,
    recordsBefore: recordsOnLog(dataFolder),
    infoBefore: serverInfoOf(dataFolder),
  };
  const tour = startTour(keeper, dataFolder, plan);
  while (!hasCome(living) && tour.child.exitCode === null) await delay(10);
  await delay(thenMs);
  const records = recordsOnLog(dataFolder);
  tour.kill('SIGKILL');
  const { signal, stderr } = await tour.result;
  assert.equal(signal, 'SIGKILL', `${name}: it ended by itself; ${stderr}`);
  return records;
}

/** How far the tour of a folder is; empty before its first word. */
export function stageOf(dataFolder: string): string {
  const file = join(dataFolder, 'tour.json');
  if (!existsSync(file)) return '';
  return (JSON.parse(readFileSync(file, 'utf8')) as { stage: string }).stage;
}

/** Records that the log has been given so far, over all topics; 0 where there is no log yet. */
export function recordsOnLog(dataFolder: string): number {
  const file = join(dataFolder, 'log.sqlite');
  if (!existsSync(file)) return 0;
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    const row = db.prepare('select sum(last_sequence) as records from partitions').get();
    return Number(row?.['records'] ?? 0);
  } catch {
    // A server that is just making it.
    return 0;
  } finally {
    db.close();
  }
}

function serverInfoOf(dataFolder: string): string {
  const file = join(dataFolder, 'server.json');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
