import assert from 'node:assert/strict';
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jsonLine, runLethe, saidError, startLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { startServer } from '../harness/server.ts';
import { openTables } from '../harness/stored-tables.ts';
import { makeRepairWorld, type RepairWorld, type Report } from '../journeys/repair-world.ts';

const freePorts = ['--port', '0', '--health-port', '0'];

describe('further damages of a data folder', function () {
  this.timeout(600_000);
  let world: RepairWorld;
  before(async () => {
    world = await makeRepairWorld();
  });
  after(async () => await world.remove());

  it('none: there is nothing to repair', async () => {
    const keeper = createProcessKeeper();
    const { exitCode, stdout } = await runLethe(keeper, ['repair', '--data', world.original]);
    assert.deepEqual([exitCode, stdout], [0, 'Nothing to repair.\n']);
    await keeper.stopAll();
  });

  it('a server works on it: it is left alone', async () => {
    const keeper = createProcessKeeper();
    const dataFolder = world.copied('in-use');
    const logFile = join(world.folder, 'in-use.log');
    const server = await startServer(keeper, { dataFolder, logFile });
    const refused = await world.repair(dataFolder, '--yes');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /DATA_FOLDER_IN_USE/);
    await server.stop();
    await keeper.stopAll();
  });
});

describe('stores of a data folder that were lost or made half', function () {
  this.timeout(600_000);
  let world: RepairWorld;
  before(async () => {
    world = await makeRepairWorld();
  });
  after(async () => await world.remove());

  it('a ledger that is newer than database and log would be counted twice', async () => {
    const dataFolder = world.copied('newer-ledger');
    for (const name of ['pg', 'log.sqlite']) rmSync(join(dataFolder, name), { recursive: true });
    assert.equal(await world.refusedStart(dataFolder), 'LEDGER_AHEAD_OF_TABLE');
  });

  it('a log that is gone is made of what the database has', async () => {
    const dataFolder = world.copied('no-log');
    writeFileSync(join(dataFolder, 'log.sqlite'), 'no database at all');
    assert.equal(await world.refusedStart(dataFolder), 'STORE_DAMAGED');
    await world.mend(dataFolder);
    await world.assertWhole(dataFolder);
  });

  it('an older log gets back what it lacks, and forgets again what was erased', async () => {
    const dataFolder = world.copied('older-log');
    cpSync(world.olderLog, join(dataFolder, 'log.sqlite'));
    assert.equal(await world.refusedStart(dataFolder), 'SEQUENCE_GAP');
    const { findings } = await world.mend(dataFolder);
    const done = findings.map(({ action }) => action).join('\n');
    assert.match(done, /tickets\.v1: .* records put back on the log.* records erased again/);
    await world.assertWhole(dataFolder);
  });

  it('a ledger that is gone is made of its manifests', async () => {
    const dataFolder = world.copied('no-ledger');
    renameSync(join(dataFolder, 'chdb'), join(world.folder, 'lost-ledger'));
    assert.equal(await world.refusedStart(dataFolder), 'LEDGER_BEHIND_TABLE');
    await world.mend(dataFolder);
    await world.assertWhole(dataFolder);
  });

  it('a damaged signing key is kept aside, a damaged keyring is past mending', async () => {
    const dataFolder = world.copied('no-keys');
    writeFileSync(join(dataFolder, 'issuer.jwk'), '{"kty":');
    await world.mend(dataFolder);
    writeFileSync(join(dataFolder, 'keyring.json'), '{"format":1,');
    const answer = await world.repair(dataFolder, '--yes');
    assert.equal(answer.exitCode, 1);
    const [finding] = jsonLine<Report>(answer).findings;
    assert.deepEqual([finding?.store, finding?.state], ['keys', 'lost']);
  });

  it('a first start that is killed at any moment is gone on with', async () => {
    const keeper = createProcessKeeper();
    const dataFolder = join(world.folder, 'killed-young');
    const killedAfterMs = [200, 500, 900, 1_400, 2_000, 2_700, 3_500];
    for (const afterMs of killedAfterMs) {
      const starting = startLethe(keeper, ['up', '--once', '--data', dataFolder, ...freePorts]);
      await Promise.race([delay(afterMs), starting.ended]);
      starting.kill('SIGKILL');
      await starting.ended;
    }
    await keeper.stopAll();
    await world.serve(dataFolder, async () => await Promise.resolve());
    const looked = await world.repair(dataFolder, '--dry-run');
    assert.deepEqual(jsonLine<Report>(looked).findings, []);
  });

  it('an older version leaves a newer folder as it is, and says so', async () => {
    const dataFolder = world.copied('newer');
    const tables = await openTables(dataFolder);
    await tables.exec(
      `insert into tickets.kysely_migration values ('9999-of-the-future', '2030-01-01')`,
    );
    await tables.close();
    assert.equal(await world.refusedStart(dataFolder), 'SCHEMA_NEWER');
    const refused = saidError(await world.repair(dataFolder, '--yes'));
    assert.equal(refused.reason, 'SCHEMA_NEWER');
    assert.match(refused.next ?? '', /newer/);
    writeFileSync(join(dataFolder, 'version.json'), '{"format":99}');
    assert.equal(await world.refusedStart(dataFolder), 'DATA_FOLDER_NEWER');
    assert.equal(saidError(await world.repair(dataFolder, '--yes')).reason, 'DATA_FOLDER_NEWER');
  });

  it('a database whose first start was interrupted is made anew', async () => {
    const dataFolder = world.copied('half-made');
    for (const name of ['pg', 'chdb', 'log.sqlite']) {
      rmSync(join(dataFolder, name), { recursive: true });
    }
    cpSync(join(world.original, 'pg', 'global'), join(dataFolder, 'pg', 'global'), {
      recursive: true,
    });
    assert.equal(await world.refusedStart(dataFolder), 'STORE_DAMAGED');
    // What a process leaves that dies while it makes the folder.
    writeFileSync(join(dataFolder, 'pg.creating'), '');
    await world.serve(dataFolder, async () => await Promise.resolve());
  });
});
