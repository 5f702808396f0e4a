import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cpus, loadavg } from 'node:os';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { vaultBinary } from '../contracts/vault-binary.ts';
import { repository } from '../temporary-tree.ts';

/** What a run on the real systems is given. */
export interface OnSystems {
  readonly vaultBinary: string;
  /** LETHE_FAULT_SEED, to repeat another run, or a new one. */
  readonly seed: string;
  /** Prints a line with the seconds since the begin. */
  readonly say: (line: string) => void;
}

/** A test that takes long and needs Kafka, PostgreSQL and Vault; says loudly when it is skipped as one is missing. */
export function itOnSystems(title: string, run: (given: OnSystems) => Promise<void>): void {
  it(title, async function () {
    this.timeout(6 * 60 * 60 * 1000);
    const binary = await vaultBinary(process.env['CI'] === 'true');
    const why = binary === undefined ? 'no Vault' : whyNoKafka();
    if (binary === undefined || why !== undefined || findPostgresBinaries() === undefined) {
      console.warn(`SKIPPED: ${title}: ${why ?? 'no PostgreSQL'}`);
      assert.notEqual(process.env['CI'], 'true');
      return this.skip();
    }
    const seed = process.env['LETHE_FAULT_SEED'] ?? String(randomInt(1_000_000));
    const beganMs = performance.now();
    const say = (line: string) => {
      const atS = Math.round((performance.now() - beganMs) / 1_000);
      console.log(`    ${String(atS).padStart(5)} s  ${line}`);
    };
    say(`LETHE_FAULT_SEED=${seed}`);
    await run({ vaultBinary: binary, seed, say });
  });
}

/** Where and on what a run was made. */
export interface RunPlace {
  readonly commit: string;
  readonly machine: string;
  readonly date: string;
}

export function placeOfRun(): RunPlace {
  const git = ['rev-parse', '--short', 'HEAD'];
  const commit = execFileSync('git', git, { cwd: repository, encoding: 'utf8' }).trim();
  const loads = loadavg().map((load) => load.toFixed(0));
  const machine = `${cpus().length} cores (load ${loads.join(', ')} at the end), Node ${process.versions.node}`;
  return { commit, machine, date: new Date().toISOString().slice(0, 10) };
}
