import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jsonLine, startLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeRepairWorld, type RepairWorld, type Report } from '../journeys/repair-world.ts';

/** Every run is killed later than the one before, by a quarter, until one comes to its end. */
const firstMs = 1_500;
const growth = 1.25;
const killsMax = 25;

describe('a repair that is killed with -9', function () {
  this.timeout(1_800_000);
  let world: RepairWorld;
  before(async () => {
    world = await makeRepairWorld();
  });
  after(async () => await world.remove());

  /** Kills the command with its process, again and again on the same folder; answers how often. */
  async function mendUnderKills(dataFolder: string): Promise<number> {
    const keeper = createProcessKeeper();
    const args = ['repair', '--data', dataFolder, '--yes', '--json'];
    for (let kills = 0; kills < killsMax; kills += 1) {
      const running = startLethe(keeper, args);
      await Promise.race([delay(firstMs * growth ** kills), running.ended]);
      running.kill('SIGKILL');
      const { exitCode, stdout, stderr } = await running.result;
      if (exitCode === null) continue;
      const said = { exitCode, stdout, stderr, signal: null };
      assert.equal(exitCode, 0, `${stdout}${stderr}`);
      const { findings } = jsonLine<Report>(said);
      assert.ok(findings.every(({ state }) => state === 'mended'));
      await keeper.stopAll();
      return kills;
    }
    return assert.fail('no run came to its end');
  }

  it('goes on where it was: a log that is gone is made of what the database has', async () => {
    const dataFolder = world.copied('no-log');
    writeFileSync(join(dataFolder, 'log.sqlite'), 'no database at all');
    console.log(`killed ${await mendUnderKills(dataFolder)} times`);
    await world.assertWhole(dataFolder);
  });
});
