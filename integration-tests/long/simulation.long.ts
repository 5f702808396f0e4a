import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../simulation/main.ts');
const defaultMinutes = 5;

/** By LETHE_SIMULATION_MINUTES: mocha refuses options that are not its own. */
function minutesAskedFor(): number {
  const asked = Number(process.env['LETHE_SIMULATION_MINUTES']);
  return asked > 0 ? asked : defaultMinutes;
}

describe('simulation, for as long as it is given', function () {
  const minutes = minutesAskedFor();
  this.timeout((minutes + 10) * 60_000);

  it(`holds every law for ${minutes} minutes`, () => {
    // A first seed of its own each day, so that days add up.
    const from = 1_000_000 + (Math.floor(Date.now() / 86_400_000) % 1_000) * 100_000;
    const given = ['--minutes', `${minutes}`, '--from', `${from}`, '--workers', '2', '--shrink'];
    const { status } = spawnSync(process.execPath, [main, ...given], { stdio: 'inherit' });
    assert.equal(status, 0, 'a seed broke a law; see above');
  });
});
