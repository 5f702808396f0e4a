import type { ServiceName } from '@lethe/proto/access.ts';
import { callTimeoutMs } from '@lethe/cli/connection/session.ts';
import { checkAll } from '../faults/check-all.ts';
import type { CheckedAnswers } from '../faults/check-served.ts';
import type { CheckedStores } from '../faults/check-stores.ts';
import type { ClientCounts } from '../faults/client.ts';
import type { Acknowledged } from '../faults/help-desk-sender.ts';
import type { TenantModel } from '../faults/model.ts';
import { untilSettled } from '../faults/settle.ts';
import type { OwnEnd } from '../faults/supervised.ts';
import { versionsOf, withSix, type World } from '../faults/with-six.ts';
import { createLoad, type Load } from './load.ts';
import { orderOf, type RestartPlan } from './plan.ts';

/** A process that was told to end, and its successor. */
export interface Restart {
  readonly service: ServiceName;
  readonly exitCode: number | null;
  /** From SIGTERM to its end. */
  readonly drainMs: number;
  /** From SIGTERM until its successor served. */
  readonly untilServingMs: number;
  /** Events that were acknowledged meanwhile. */
  readonly events: number;
}

/** What a run came to. */
export interface RestartRun {
  readonly plan: RestartPlan;
  readonly versions: readonly string[];
  readonly restarts: readonly Restart[];
  readonly ownEnds: readonly OwnEnd[];
  readonly clientCounts: Readonly<ClientCounts>;
  readonly reads: ReadonlyMap<string, number>;
  readonly acknowledged: Acknowledged;
  readonly models: readonly TenantModel[];
  readonly erasures: number;
  readonly answers: readonly CheckedAnswers[];
  readonly stores: CheckedStores;
  readonly processesLeft: readonly number[];
  readonly violations: readonly string[];
  /** While processes restarted; until everything was acknowledged and erased; until all was counted. */
  readonly tookMs: {
    readonly restarting: number;
    readonly settling: number;
    readonly checking: number;
  };
}

export interface RestartRunWish {
  readonly plan: RestartPlan;
  readonly vaultBinary: string;
  readonly say: (line: string) => void;
}

/** Starts everything, restarts one process after the other under load, counts. Leaves nothing running. */
export async function runRestarts({ plan, vaultBinary, say }: RestartRunWish): Promise<RestartRun> {
  const env = { LETHE_DRAIN_DELAY_MS: String(plan.drainDelayMs) };
  return await withSix(
    { vaultBinary, say, env, callTimeoutMs },
    async (world) => await happen(plan, world),
  );
}

async function happen(plan: RestartPlan, world: World): Promise<Omit<RestartRun, 'processesLeft'>> {
  const { six, services, client, say } = world;
  const load = createLoad(client, plan);
  const beganMs = performance.now();
  const failing = new AbortController();
  const loading = load.run();
  loading.catch(() => failing.abort());
  const restarts = await restartAll(plan, world, load, failing.signal).finally(() => load.end());
  await loading;
  const restartedMs = beganMs + restarts.tookMs;
  await untilSettled(six, [...services.values()]);
  const settledMs = performance.now();
  say(`settled ${seconds(settledMs - restartedMs)} after the last restart; everything is counted`);
  // What happens from here on is no part of the run.
  const clientCounts = { ...client.counts, gaveUpOn: [...client.counts.gaveUpOn] };
  const { models, erased, reader } = load;
  const acknowledged = load.acknowledged();
  const checked = await checkAll(six, client, { models, erased, acknowledged });
  return {
    ...checked,
    plan,
    versions: versionsOf(six),
    restarts: restarts.done,
    ownEnds: [...services.values()].flatMap(({ ownEnds }) => ownEnds),
    clientCounts,
    reads: reader.counts,
    acknowledged,
    models,
    erasures: erased.length,
    violations: [...checked.violations, ...reader.violations],
    tookMs: {
      restarting: restarts.tookMs,
      settling: settledMs - restartedMs,
      checking: performance.now() - settledMs,
    },
  };
}

/** One after the other; the next one is told to end as soon as the last one serves again. */
async function restartAll(
  plan: RestartPlan,
  { services, say }: World,
  load: Load,
  failing: AbortSignal,
) {
  const beganMs = performance.now();
  const done: Restart[] = [];
  for (const name of orderOf(plan)) {
    if (failing.aborted) break;
    const service = services.get(name);
    if (service === undefined) throw new RangeError(`no service ${name}`);
    const eventsBefore = load.acknowledgedEvents();
    const toldMs = performance.now();
    const { exitCode, tookMs: drainMs } = await service.terminate();
    await service.untilServing();
    const untilServingMs = performance.now() - toldMs;
    const events = load.acknowledgedEvents() - eventsBefore;
    done.push({ service: name, exitCode, drainMs, untilServingMs, events });
    say(
      `${done.length}: ${name} ended with ${exitCode} after ${seconds(drainMs)}, served after ${seconds(untilServingMs)}; ${events} events meanwhile`,
    );
  }
  return { done, tookMs: performance.now() - beganMs };
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
