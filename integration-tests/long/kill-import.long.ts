import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { runKilled } from '../harness/kill-run.ts';
import { type KillPlan, stageOf } from '../harness/killed-tour.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';

describe('an import of 20,000 events that is killed with -9 at 50 random moments', function () {
  this.timeout(3 * 60 * 60 * 1000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  after(async () => {
    await keeper.stopAll();
    removeFolder(folder);
  });

  it('ends with the totals of an uninterrupted one, and with no law broken', async () => {
    const plan: KillPlan = {
      seed: process.env['LETHE_KILL_SEED'] ?? String(randomInt(1_000_000)),
      events: Number(process.env['LETHE_KILL_EVENTS'] ?? 20_000),
      tenants: 5,
      days: 90,
      kills: { starting: 4, streaming: 40, erasing: 6 },
    };
    console.log(`LETHE_KILL_SEED=${plan.seed}`);
    const beganMs = performance.now();
    let kills = 0;
    const run = await runKilled(keeper, folder, plan, ({ phase, name }, records) => {
      kills += 1;
      console.log(`kill ${kills}, ${phase}: ${name}; ${records} records on the log`);
    });
    const counts = [...run.whole.events].map(([topic, count]) => `${topic} ${count}`).join(', ');
    console.log(
      `${kills} kills in ${Math.round((performance.now() - beganMs) / 1000)} s; on the log: ${counts}; violations: ${run.violations.length}`,
    );
    assert.equal(stageOf(run.killedFolder), 'completed');
    assert.equal(run.whole.figures.size, plan.tenants);
    assert.deepEqual(run.killed.figures, run.whole.figures);
    assert.deepEqual(run.killed.events, run.whole.events);
    assert.deepEqual(run.violations, []);
  });
});
