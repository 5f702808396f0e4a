import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import type { PanicReport } from './pglite-panic-run.ts';

const script = fileURLToPath(new URL('./pglite-panic-run.ts', import.meta.url));
const asRoot = process.getuid?.() === 0;
const namespace = asRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount'];

/**
 * The real thing that `pglite-session.test.ts` and `hung-query.test.ts` stand in for: PostgreSQL panics when it cannot
 * write its log. PGlite either throws that, or spins inside WASM in the very statement; which of the two is its affair.
 */
describe('an embedded database that cannot write its log', function () {
  this.timeout(900_000);

  it('ends its process with a reason, and has every acknowledged row once there is room', function () {
    const folder = makeFolder();
    const mount = ['mount', '-t', 'tmpfs', 'lethe-probe', folder];
    if (spawnSync('unshare', [...namespace, ...mount]).status !== 0) {
      console.error('!!! no small volume can be mounted here: a panic is NOT CHECKED');
      this.skip();
    }
    const args = [...namespace, process.execPath, script, folder];
    const { stdout, stderr, status } = spawnSync('unshare', args, { encoding: 'utf8' });
    removeFolder(folder);
    assert.equal(status, 0, stderr);
    const { committed, signal, lastWords, found } = JSON.parse(stdout) as PanicReport;
    console.log(`${committed.length} rows, ended by ${signal ?? 'itself'}: ${lastWords}`);
    assert.ok(committed.length > 50);
    assert.match(
      lastWords,
      signal === null ? /STORE_FULL|has stopped/ : /not answered .* is the disk full\?/,
    );
    // The commit under way may have come through without a word.
    assert.deepEqual(found.slice(0, committed.length), committed);
    assert.ok(found.length <= committed.length + 1);
  });
});
