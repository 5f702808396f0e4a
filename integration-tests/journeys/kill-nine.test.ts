import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { type KillRun, runKilled } from '../harness/kill-run.ts';
import { type KillPlan, stageOf } from '../harness/killed-tour.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';

describe('a tour that is killed with -9 at five random moments', function () {
  this.timeout(240_000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const plan: KillPlan = {
    seed: process.env['LETHE_KILL_SEED'] ?? String(randomInt(1_000_000)),
    events: 3_000,
    tenants: 3,
    days: 30,
    kills: { starting: 1, streaming: 3, erasing: 1 },
  };
  let run: KillRun;
  before(async () => {
    console.log(`LETHE_KILL_SEED=${plan.seed}`);
    run = await runKilled(keeper, folder, plan);
  });
  after(async () => {
    await keeper.stopAll();
    removeFolder(folder);
  });

  it('was killed while it streamed, with events stored and events left', () => {
    const streaming = run.recordsAtKills.filter(
      (_, index) => run.moments[index]?.phase === 'streaming',
    );
    assert.equal(streaming.length, plan.kills.streaming);
    assert.ok(streaming.every((records) => records > 0));
    assert.ok((streaming[0] ?? 0) < plan.events);
  });

  it('goes on each time and ends well', () => {
    assert.match(
      run.said,
      /The interrupted tour goes on|The tour of this data folder is completed/,
    );
    assert.equal(stageOf(run.killedFolder), 'completed');
  });

  it('ends with the figures of an uninterrupted one, for each tenant, metric and day', () => {
    assert.equal(run.whole.figures.size, plan.tenants);
    const rows = [...run.whole.figures.values()].map(({ size }) => size);
    assert.ok(rows.every((size) => size > 100));
    assert.deepEqual(run.killed.figures, run.whole.figures);
  });

  it('leaves as many events of each topic on the log', () => {
    assert.deepEqual(run.killed.events, run.whole.events);
  });

  it('leaves sequences without gaps but for what was erased, and no event twice', () => {
    assert.deepEqual(run.violations, []);
  });
});
