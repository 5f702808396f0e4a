import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import type { FullDiskRound } from './full-disk-run.ts';

const script = fileURLToPath(new URL('./full-disk-run.ts', import.meta.url));
/** A mount namespace of its own: the volume goes with its last process, and root is needed in there alone. */
const asRoot = process.getuid?.() === 0;
const namespace = asRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount'];

function canMount(): boolean {
  const folder = makeFolder();
  try {
    const mount = ['mount', '-t', 'tmpfs', 'lethe-probe', folder];
    return spawnSync('unshare', [...namespace, ...mount]).status === 0;
  } finally {
    removeFolder(folder);
  }
}

async function fillDisk(folder: string, seed: string, rounds: number): Promise<FullDiskRound[]> {
  const args = [...namespace, process.execPath, script, folder, seed, String(rounds)];
  const child = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const found = out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FullDiskRound);
  assert.equal(found.length, rounds, err);
  return found;
}

/** What a caller may be told; each may be tried again. A database that spins answers nobody in time. */
const refusalsKnown = [
  'STORE_FULL',
  'STORE_UNAVAILABLE',
  'KEYS_UNAVAILABLE',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
];
/** Of the process itself, or of the thread that ends it when its database spins. */
const reasonsKnown = /The disk of the data folder .* is full|not answered .* is the disk full\?/;
const rounds = Number(process.env['LETHE_DISK_ROUNDS'] ?? 1);

describe('a disk that is full at a random moment, and then has room again', function () {
  // A database that spins is ended after 70 s, and a round has three starts: on a busy machine some minutes.
  this.timeout(180_000 + rounds * 360_000);
  const folder = makeFolder();
  const seed = process.env['LETHE_DISK_SEED'] ?? String(randomInt(1_000_000));
  let found: readonly FullDiskRound[] = [];
  before('a small volume is filled', async function () {
    if (!canMount()) {
      console.error('!!! no small volume can be mounted here: a full disk is NOT CHECKED');
      this.skip();
    }
    console.log(`LETHE_DISK_SEED=${seed}`);
    found = await fillDisk(folder, seed, rounds);
  });
  after(() => removeFolder(folder));

  it('loses no event that was acknowledged', () => {
    for (const { events, lost } of found) {
      assert.ok(events >= 100, 'events were accepted before the disk was full');
      assert.deepEqual(lost, []);
    }
  });

  it('counts every event once: what was acknowledged, and what was refused and sent again', () => {
    for (const { events, counted } of found) assert.equal(counted, events);
  });

  it('answers callers with a reason, and goes on by itself or ends with one', () => {
    for (const { refusals, ended, lastWords, wentOn } of found) {
      const reasons = Object.keys(refusals);
      assert.ok(reasons.length > 0, 'the disk was full');
      assert.ok(
        reasons.every((reason) => refusalsKnown.includes(reason)),
        reasons.join(', '),
      );
      if (ended === undefined) assert.notEqual(wentOn, false);
      else assert.match(lastWords, reasonsKnown);
    }
  });

  it('says so when it is started meanwhile', () => {
    for (const { startsRefused } of found) {
      for (const said of startsRefused) assert.match(said, /^STORE_FULL: The disk of the data/);
    }
  });

  it('leaves sequences without a gap and no event twice', () => {
    for (const { violations } of found) assert.deepEqual(violations, []);
  });
});
