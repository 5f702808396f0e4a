import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { vaultBinary } from '../contracts/vault-binary.ts';
import { repository } from '../temporary-tree.ts';
import { scaledPlan } from './plan.ts';
import { reportText } from './report.ts';
import { runFaults } from './run.ts';

/**
 * One fault journey with a share of the full plan. LETHE_FAULT_SEED repeats the events and the plan of another run,
 * LETHE_FAULT_SHARE says how much of everything, LETHE_FAULT_REPORT takes the report.
 */
export function describeFaults(title: string, share: number): void {
  describe(title, function () {
    this.timeout(6 * 60 * 60 * 1000);

    it('loses nothing, applies nothing twice, and ends with the figures of the events', async function () {
      const binary = await vaultBinary(process.env['CI'] === 'true');
      const why = binary === undefined ? 'no Vault' : whyNoKafka();
      if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
        console.warn(`SKIPPED: faults on real systems: ${why ?? 'no PostgreSQL'}`);
        assert.notEqual(process.env['CI'], 'true');
        return this.skip();
      }
      const { LETHE_FAULT_SEED, LETHE_FAULT_SHARE, LETHE_FAULT_REPORT } = process.env;
      const seed = LETHE_FAULT_SEED ?? String(randomInt(1_000_000));
      const plan = { ...scaledPlan(Number(LETHE_FAULT_SHARE ?? share)), seed };
      const beganMs = performance.now();
      const say = (line: string) => {
        const atS = Math.round((performance.now() - beganMs) / 1_000);
        console.log(`    ${String(atS).padStart(5)} s  ${line}`);
      };
      say(`LETHE_FAULT_SEED=${seed}, ${plan.events} events`);
      const run = await runFaults({ plan, vaultBinary: binary, say });
      const report = reportText(run, placeOfRun());
      if (LETHE_FAULT_REPORT !== undefined) writeFileSync(LETHE_FAULT_REPORT, report);
      console.log(report);
      assert.deepEqual(run.violations, []);
      assert.equal(run.erasures.length, plan.erasures);
    });
  });
}

function placeOfRun() {
  const git = ['rev-parse', '--short', 'HEAD'];
  const commit = execFileSync('git', git, { cwd: repository, encoding: 'utf8' }).trim();
  const loads = loadavg().map((load) => load.toFixed(0));
  const machine = `${cpus().length} cores (load ${loads.join(', ')} at the end), Node ${process.versions.node}`;
  return { commit, machine, date: new Date().toISOString().slice(0, 10) };
}
