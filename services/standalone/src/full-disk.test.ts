import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { explainFullDisk } from './full-disk.ts';

const explained = async (failure: unknown) => {
  const said = await explainFullDisk(failure, tmpdir());
  return said instanceof ServiceError ? said.reason : said;
};

describe('a failure on a full disk', () => {
  it('is said as such, whichever store met it and however deep it says so', async () => {
    const failures = [
      Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
      new ServiceError('STORE_UNAVAILABLE', 'the embedded database has stopped', {
        cause: new Error('could not write to file "pg_wal/xlogtemp.42": No space left on device'),
      }),
      new ServiceError('STORE_DAMAGED', 'cannot be opened', {
        cause: new Error('database or disk is full'),
      }),
      new Error('Code: 243. DB::Exception: NOT_ENOUGH_SPACE'),
    ];
    for (const failure of failures) assert.equal(await explained(failure), 'STORE_FULL');
  });

  it('is said in the same words where the store itself called it STORE_FULL, and once', async () => {
    const store = new ServiceError('STORE_FULL', 'event log: database or disk is full');
    const said = await explainFullDisk(store, tmpdir(), async () => 100 * 1024 * 1024);
    assert.match(String(said), /The disk of the data folder/);
    assert.equal(await explainFullDisk(said, tmpdir()), said);
  });

  it('is what a database that cannot be opened lacks, when there is no room for a segment of its log', async () => {
    const damaged = new ServiceError('STORE_DAMAGED', 'cannot be opened');
    const reasonAt = async (freeMegabytes: number) => {
      const said = await explainFullDisk(
        damaged,
        tmpdir(),
        async () => freeMegabytes * 1024 * 1024,
      );
      return said instanceof ServiceError ? said.reason : said;
    };
    assert.equal(await reasonAt(3), 'STORE_FULL');
    assert.equal(await reasonAt(16), 'STORE_FULL');
    assert.equal(await reasonAt(100), 'STORE_DAMAGED');
    const taken = new ServiceError('PORT_IN_USE');
    assert.equal(await explainFullDisk(taken, tmpdir(), async () => 3 * 1024 * 1024), taken);
  });

  it('is not made of any other failure, nor of a folder that is not there', async () => {
    const failure = new ServiceError('PORT_IN_USE', 'Port 7480 is taken.');
    assert.equal(await explainFullDisk(failure, tmpdir()), failure);
    assert.equal(await explainFullDisk(failure, '/nowhere/at/all'), failure);
    assert.equal(await explainFullDisk('a text', tmpdir()), 'a text');
  });
});
