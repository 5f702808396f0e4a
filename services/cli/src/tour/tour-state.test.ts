import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CliError } from '../failures/cli-error.ts';
import { findShowcase } from './showcase.ts';
import { readTourState, settingsOf, writeTourState, type TourState } from './tour-state.ts';

const state: TourState = {
  format: 1,
  seed: 'lethe',
  anchorMs: Date.UTC(2024, 7, 1),
  tenants: 2,
  days: 30,
  events: 400,
  stage: 'loaded',
  totalsBefore: { 'created v1': '12' },
};

describe('what the tour remembers', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lethe-tour-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('is nothing at first, and then what was written last', async () => {
    assert.equal(await readTourState(folder), undefined);
    await writeTourState(folder, { ...state, stage: 'loading' });
    await writeTourState(folder, state);
    assert.deepEqual(await readTourState(folder), state);
  });

  it('survives a death in the middle of a write', async () => {
    await writeTourState(folder, state);
    await writeFile(path.join(folder, 'tour.json.new'), '{"format":1,"se');
    assert.deepEqual(await readTourState(folder), state);
    await writeTourState(folder, { ...state, stage: 'completed' });
    assert.equal((await readTourState(folder))?.stage, 'completed');
  });

  it('is refused when a newer version wrote it or it is damaged', async () => {
    const isUsage = (error: unknown) =>
      error instanceof CliError && error.explanation.exitCode === 2;
    for (const text of [
      '{"format": 2, "seed": "x"}',
      '{"format":1',
      '{"format":1,"stage":"dancing"}',
    ]) {
      await writeFile(path.join(folder, 'tour.json'), text);
      await assert.rejects(readTourState(folder), isUsage);
    }
  });

  it('is enough to name the same person, ticket and erasure again', () => {
    const first = findShowcase(settingsOf(state));
    assert.deepEqual(findShowcase(settingsOf(state)), first);
    assert.match(first.erasureId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.notEqual(
      findShowcase({ ...settingsOf(state), seed: 'other' }).erasureId,
      first.erasureId,
    );
  });
});
