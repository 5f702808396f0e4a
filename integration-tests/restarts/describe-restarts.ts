import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { itOnSystems, placeOfRun } from '../faults/on-systems.ts';
import type { RestartPlan } from './plan.ts';
import { nearestRank, reportText } from './report.ts';
import { runRestarts } from './run.ts';

/** A bound to hold. */
const drainP99Ms = 10_000;

/**
 * Restarts of the six processes under load. LETHE_FAULT_SEED repeats the events and the order of another run,
 * LETHE_FAULT_REPORT takes the report.
 */
export function describeRestarts(title: string, share: Omit<RestartPlan, 'seed'>): void {
  describe(title, () => {
    const promise = 'fail no call of a client that retries as documented, and repeat no effect';
    itOnSystems(promise, async ({ vaultBinary, seed, say }) => {
      const run = await runRestarts({ plan: { ...share, seed }, vaultBinary, say });
      const report = reportText(run, placeOfRun());
      const { LETHE_FAULT_REPORT } = process.env;
      if (LETHE_FAULT_REPORT !== undefined) writeFileSync(LETHE_FAULT_REPORT, report);
      console.log(report);
      const { restarts, clientCounts, violations, ownEnds } = run;
      assert.deepEqual(clientCounts.gaveUpOn, []);
      assert.ok(clientCounts.retries > 0, 'no call met a restart');
      assert.deepEqual(violations, []);
      assert.deepEqual(ownEnds, []);
      assert.deepEqual(
        restarts.filter(({ exitCode }) => exitCode !== 0),
        [],
      );
      const drains = restarts.map(({ drainMs }) => drainMs);
      assert.ok(nearestRank(drains, 0.99) < drainP99Ms);
    });
  });
}
