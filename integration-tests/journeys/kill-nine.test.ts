import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSeededRandom, type SeededRandom } from '@lethe/cli/generator/random.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { openApi } from '../harness/api.ts';
import { allFigures, figuresComplete, type Figures } from '../harness/figures.ts';
import { jsonLine, runLethe, startLethe, type RunningLethe } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { startServer } from '../harness/server.ts';
import { readLog } from '../harness/stored-log.ts';
import { violationsIn } from '../harness/stored-laws.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';

const dayMs = 24 * 60 * 60 * 1000;
const anchor = new Date(Math.floor(Date.now() / dayMs) * dayMs).toISOString().slice(0, 10);
const helpDesk = ['--seed', 'kill-nine', '--tenants', '3', '--days', '30', '--events', '3000'];
const ports = ['--port', '0', '--health-port', '0'];

function startTour(keeper: ProcessKeeper, dataFolder: string): RunningLethe {
  const where = ['--data', dataFolder, '--anchor', anchor, ...ports];
  return startLethe(keeper, ['up', '--tour', '--once', ...where, ...helpDesk]);
}

/** A moment of a running tour. */
interface Moment {
  readonly name: string;
  /** Resolves when it has come; asked again and again. */
  readonly hasCome: (tour: RunningLethe, dataFolder: string) => boolean;
  readonly thenMs: number;
}

/** While it starts, at three points of the streaming, and in the midst of the erasure. */
function randomMoments(random: SeededRandom): readonly Moment[] {
  const streaming = ([first, last]: readonly [number, number]): Moment => {
    const percent = random.integer(first, last) * 10;
    return {
      name: `at ${percent} % of the streaming`,
      hasCome: (tour) => percentStreamed(tour) >= percent,
      thenMs: random.integer(0, 200),
    };
  };
  const starting = {
    name: 'at the start',
    hasCome: () => true,
    thenMs: random.integer(300, 4_000),
  };
  const erasing: Moment = {
    name: 'in the erasure',
    hasCome: (_, dataFolder) => stageOf(dataFolder) === 'erasing',
    thenMs: random.integer(0, 300),
  };
  const thirds = [
    [1, 3],
    [4, 6],
    [7, 9],
  ] as const;
  return [starting, ...thirds.map(streaming), erasing];
}

function percentStreamed(tour: RunningLethe): number {
  const said = [...tour.stderr().matchAll(/Streaming events (\d+) %/g)];
  return Number(said.at(-1)?.[1] ?? 0);
}

function stageOf(dataFolder: string): string {
  const file = join(dataFolder, 'tour.json');
  if (!existsSync(file)) return '';
  return (JSON.parse(readFileSync(file, 'utf8')) as { stage: string }).stage;
}

/** Runs the tour until the moment, and kills client and server. */
async function killedTour(
  keeper: ProcessKeeper,
  dataFolder: string,
  { name, hasCome, thenMs }: Moment,
): Promise<void> {
  const tour = startTour(keeper, dataFolder);
  while (!hasCome(tour, dataFolder) && tour.child.exitCode === null) await delay(5);
  await delay(thenMs);
  tour.kill('SIGKILL');
  const { signal, stderr } = await tour.result;
  assert.equal(signal, 'SIGKILL', `${name}: it ended by itself; ${stderr}`);
}

async function finishedTour(keeper: ProcessKeeper, dataFolder: string): Promise<string> {
  const { exitCode, stdout, stderr } = await startTour(keeper, dataFolder).result;
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
  return stdout;
}

interface Counted {
  /** By tenant. */
  readonly figures: ReadonlyMap<string, Figures>;
  readonly events: ReadonlyMap<string, number>;
}

/** Every metric of every tenant by day, and the events of each topic. */
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
  for (const { topic } of readLog(dataFolder).records)
    events.set(topic, (events.get(topic) ?? 0) + 1);
  return { figures, events };
}

describe('a tour that is killed with -9 at five random moments', function () {
  this.timeout(240_000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const seed = process.env['LETHE_KILL_SEED'] ?? String(randomInt(1_000_000));
  const moments = randomMoments(createSeededRandom(seed));
  const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
  let said = '';
  let counted: { whole: Counted; killed: Counted };
  before(async () => {
    console.log(`LETHE_KILL_SEED=${seed}`);
    const uninterrupted = finishedTour(keeper, whole);
    for (const moment of moments) await killedTour(keeper, killed, moment);
    said = await finishedTour(keeper, killed);
    await uninterrupted;
    const [one, other] = await Promise.all(
      [whole, killed].map(async (dataFolder) => await countAll(keeper, folder, dataFolder)),
    );
    assert.ok(one !== undefined && other !== undefined);
    counted = { whole: one, killed: other };
  });
  after(async () => {
    await keeper.stopAll();
    removeFolder(folder);
  });

  it('goes on each time and ends well', () => {
    assert.match(said, /The interrupted tour goes on|The tour of this data folder is completed/);
    assert.equal(stageOf(killed), 'completed');
  });

  it('ends with the figures of an uninterrupted one, for each tenant, metric and day', () => {
    assert.equal(counted.whole.figures.size, 3);
    const rows = [...counted.whole.figures.values()].map(({ size }) => size);
    assert.ok(rows.every((size) => size > 100));
    assert.deepEqual(counted.killed.figures, counted.whole.figures);
  });

  it('leaves as many events of each topic on the log', () => {
    assert.deepEqual(counted.killed.events, counted.whole.events);
  });

  it('leaves sequences without gaps but for what was erased, and no event twice', async () => {
    assert.deepEqual(await violationsIn(killed), []);
    assert.deepEqual(await violationsIn(whole), []);
  });
});
