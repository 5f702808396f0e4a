import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { itOnSystems, placeOfRun } from './on-systems.ts';
import { scaledPlan } from './plan.ts';
import { reportText } from './report.ts';
import { runFaults } from './run.ts';

/**
 * One fault journey with a share of the full plan. LETHE_FAULT_SEED repeats the events and the plan of another run,
 * LETHE_FAULT_SHARE says how much of everything, LETHE_FAULT_REPORT takes the report.
 */
export function describeFaults(title: string, share: number): void {
  describe(title, () => {
    const promise = 'loses nothing, applies nothing twice, and ends with the figures of the events';
    itOnSystems(promise, async ({ vaultBinary, seed, say }) => {
      const { LETHE_FAULT_SHARE, LETHE_FAULT_REPORT } = process.env;
      const plan = { ...scaledPlan(Number(LETHE_FAULT_SHARE ?? share)), seed };
      say(`${plan.events} events`);
      const run = await runFaults({ plan, vaultBinary, say });
      const report = reportText(run, placeOfRun());
      if (LETHE_FAULT_REPORT !== undefined) writeFileSync(LETHE_FAULT_REPORT, report);
      console.log(report);
      assert.deepEqual(run.violations, []);
      assert.equal(run.erasures.length, plan.erasures);
    });
  });
}
