import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createSeededRandom } from '@lethe/cli/generator/random.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { mintOf } from './access-tokens.ts';
import { openApi } from './api.ts';
import { allFigures, figuresComplete, type Figures } from './figures.ts';
import { killTour, momentsOf, startTour, type KillPlan, type Moment } from './killed-tour.ts';
import { jsonLine, runLethe } from './lethe.ts';
import type { ProcessKeeper } from './processes.ts';
import { startServer } from './server.ts';
import { readLog } from './stored-log.ts';
import { violationsIn } from './stored-laws.ts';

/** What a folder holds when everything is done. */
export interface Counted {
  /** Every metric of every tenant by day. */
  readonly figures: ReadonlyMap<string, Figures>;
  /** By topic. */
  readonly events: ReadonlyMap<string, number>;
}

export interface KillRun {
  readonly moments: readonly Moment[];
  /** Records on the log at each kill. */
  readonly recordsAtKills: readonly number[];
  /** What the tour said when it was let go on to its end. */
  readonly said: string;
  readonly killedFolder: string;
  readonly whole: Counted;
  readonly killed: Counted;
  /** Of the stored laws, in both folders; see stored-laws.ts. */
  readonly violations: readonly string[];
}

/** Runs the plan's tour twice: once in peace, and once killed with -9 at every moment of the plan. */
export async function runKilled(
  keeper: ProcessKeeper,
  folder: string,
  plan: KillPlan,
  onKill: (moment: Moment, records: number) => void = () => undefined,
): Promise<KillRun> {
  const [wholeFolder, killedFolder] = [join(folder, 'whole'), join(folder, 'killed')];
  const moments = momentsOf(plan, createSeededRandom(plan.seed));
  const uninterrupted = finishTour(keeper, wholeFolder, plan);
  const recordsAtKills: number[] = [];
  for (const moment of moments) {
    const records = await killTour(keeper, killedFolder, plan, moment);
    recordsAtKills.push(records);
    onKill(moment, records);
  }
  const said = await finishTour(keeper, killedFolder, plan);
  await uninterrupted;
  const whole = await countAll(keeper, folder, wholeFolder);
  const killed = await countAll(keeper, folder, killedFolder);
  const violations = [...(await violationsIn(killedFolder)), ...(await violationsIn(wholeFolder))];
  return { moments, recordsAtKills, said, killedFolder, whole, killed, violations };
}

async function finishTour(
  keeper: ProcessKeeper,
  dataFolder: string,
  plan: KillPlan,
): Promise<string> {
  const { exitCode, stdout, stderr } = await startTour(keeper, dataFolder, plan).result;
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
  return stdout;
}

async function countAll(
  keeper: ProcessKeeper,
  folder: string,
  dataFolder: string,
): Promise<Counted> {
  const server = await startServer(keeper, { dataFolder, logFile: join(folder, 'server.log') });
  const listed = await runLethe(keeper, ['tenant', 'list', '--data', dataFolder, '--json']);
  const { tenants } = jsonLine<{ tenants: { tenantId: string }[] }>(listed);
  const api = openApi(server.address);
  const figures = new Map<string, Figures>();
  for (const { tenantId } of tenants) {
    const token = mintOf(dataFolder).mint({ tenant: tenantId, roles: ['reader'] });
    await figuresComplete(api, token, Grain.GRAIN_TOTAL);
    figures.set(tenantId, await allFigures(api, token, Grain.GRAIN_DAY));
  }
  api.close();
  await server.stop();
  const events = new Map<string, number>();
  for (const { topic } of readLog(dataFolder).records) {
    events.set(topic, (events.get(topic) ?? 0) + 1);
  }
  return { figures, events };
}
