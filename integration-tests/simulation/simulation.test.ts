import assert from 'node:assert/strict';
import { plantedNamed } from './planted/planted.ts';
import { describeFailure } from './run/describe.ts';
import { hunt } from './run/mutations.ts';
import { runPlan } from './run/run-plan.ts';
import { shrink } from './run/shrink.ts';
import { planOf } from './world/plan.ts';
import { type Engineroom, openEngineroom } from './world/stores.ts';

const seeds = 100;

describe('simulation of the real services', function () {
  this.timeout(600_000);
  let engineroom: Engineroom;
  before(async () => {
    engineroom = await openEngineroom();
  });
  after(async () => {
    await engineroom.close();
  });

  it(`holds every law in ${seeds} seeds`, async () => {
    for (let seed = 0; seed < seeds; seed += 1) {
      const outcome = await runPlan(planOf(`${seed}`), { engineroom });
      assert.equal(outcome.broken, undefined, describeFailure(outcome, undefined));
    }
  });

  it('replays a seed exactly', async () => {
    for (const seed of ['1', '7', '16']) {
      const [first, again] = [
        await runPlan(planOf(seed), { engineroom }),
        await runPlan(planOf(seed), { engineroom }),
      ];
      assert.equal(again.traceHash, first.traceHash, `seed ${seed}`);
      assert.deepEqual(again.figures, first.figures);
    }
  });

  it('catches a bug, and shrinks what caught it', async () => {
    const planted = plantedNamed('checkpoint not compared');
    const caught = await hunt(engineroom, planted, 0, 200);
    assert.ok(caught.seed !== undefined, 'no seed caught it');
    const run = async (plan: ReturnType<typeof planOf>) =>
      runPlan(plan, { engineroom, bug: planted.plant() });
    const failed = await run(planOf(caught.seed));
    const { plan, outcome } = await shrink(failed, run, 25);
    assert.equal(outcome.broken?.law, caught.law);
    assert.ok(sizeOf(plan) < sizeOf(failed.plan), 'nothing was taken away');
  });
});

function sizeOf({ faults, instances, clients }: ReturnType<typeof planOf>): number {
  return faults.length + instances.length + clients.flat().length;
}
