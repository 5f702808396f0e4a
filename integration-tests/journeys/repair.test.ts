import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { makeRepairWorld, type RepairWorld } from './repair-world.ts';

describe('a data folder that was damaged', function () {
  this.timeout(240_000);
  let world: RepairWorld;
  before(async () => {
    world = await makeRepairWorld();
  });
  after(async () => await world.remove());

  const actionsOf = async (dataFolder: string) =>
    (await world.mend(dataFolder)).findings.map(({ action }) => action).join('\n');

  it('brings an older copy of the database forward from the log, with its erasures', async () => {
    const dataFolder = world.copied('older-database');
    rmSync(join(dataFolder, 'pg'), { recursive: true });
    cpSync(world.olderDatabase, join(dataFolder, 'pg'), { recursive: true });
    assert.equal(await world.refusedStart(dataFolder), 'LOG_AHEAD_OF_TABLE');
    assert.equal((await world.repair(dataFolder, '--dry-run')).exitCode, 1);
    const done = await actionsOf(dataFolder);
    // 10 replies, the solving and its milestone; of the other ticket nothing can be opened: its keys are lost.
    assert.match(done, /tickets\.v1: 12 records .* 3 taken off the log, as their keys are lost/);
    assert.match(done, /privacy\.v1: \d+ records of the log brought into the tables/);
    assert.match(done, /deleted the rows of \d+ chunks/);
    await world.assertWhole(dataFolder, world.foreign);
  });

  it('saves what can be read of a log that was cut off, and puts back the rest', async () => {
    const dataFolder = world.copied('cut-log');
    const file = join(dataFolder, 'log.sqlite');
    truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096);
    assert.equal(await world.refusedStart(dataFolder), 'STORE_DAMAGED');
    const done = await actionsOf(dataFolder);
    assert.match(done, /saved \d+ entries of log\.sqlite/);
    assert.match(done, /tickets\.v1: \d+ records put back on the log/);
    const kept = readdirSync(dataFolder).filter((name) => name.startsWith('log.sqlite.damaged-'));
    assert.equal(kept.length, 1, 'the damaged file is kept');
    await world.assertWhole(dataFolder);
  });
});
