import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  createTemporaryFolder,
  type TemporaryFolder,
} from '@lethe/platform/testing/temporary-folder.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { assertSamePlaces, recordPlaces } from './places-record.ts';
import { repairFolder } from './repair/repair-folder.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';

const onPostgres = { database: 'PostgreSQL db:5432/lethe' };

describe('where the stores of a data folder lie', () => {
  let place: TemporaryFolder;
  let folder: DataFolder;
  beforeEach(async () => {
    place = createTemporaryFolder('places');
    folder = await openDataFolder(path.join(place.path, 'data'));
  });
  afterEach(() => {
    folder.release();
    place.remove();
  });

  it('is free for a new folder, and kept from then on', async () => {
    await assertSamePlaces(folder, onPostgres);
    await recordPlaces(folder, onPostgres);
    await assertSamePlaces(folder, { database: 'PostgreSQL other:5433/lethe' });
    await assert.rejects(assertSamePlaces(folder, {}), {
      reason: 'STORES_ELSEWHERE',
      message: /the database lies on PostgreSQL db:5432\/lethe: give --postgres again/,
    });
    const more = { ...onPostgres, log: 'Kafka k:9092' };
    await assert.rejects(assertSamePlaces(folder, more), {
      reason: 'STORES_ELSEWHERE',
      message: /the log lies in it: leave --kafka away/,
    });
  });

  it('is the folder for what an embedded store left there', async () => {
    mkdirSync(folder.postgres);
    await assert.rejects(assertSamePlaces(folder, onPostgres), { reason: 'STORES_ELSEWHERE' });
    await assertSamePlaces(folder, {});
    await recordPlaces(folder, {});
    assert.ok(!existsSync(path.join(folder.root, 'stores.json')), 'nothing to tell');
  });

  it('is never guessed from a damaged record', async () => {
    writeFileSync(path.join(folder.root, 'stores.json'), '{"database":');
    await assert.rejects(assertSamePlaces(folder, onPostgres), { reason: 'STORE_DAMAGED' });
  });

  it('keeps a repair from taking for lost what lies elsewhere', async () => {
    await recordPlaces(folder, onPostgres);
    folder.release();
    const repair = repairFolder({
      dataFolder: folder.root,
      dryRun: true,
      clock: systemClock,
      logger: createLogger({ service: 'test', level: 'silent' }),
      onFatal: (error) => assert.fail(String(error)),
      env: {},
    });
    await assert.rejects(repair, { reason: 'STORES_ELSEWHERE', message: /PostgreSQL db/ });
  });
});
