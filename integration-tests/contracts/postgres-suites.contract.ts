import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';

const root = path.join(import.meta.dirname, '..', '..');

/** Every suite that takes its database from `openTestDatabase`: the laws are the same on PGlite and on a server. */
const suites = [
  ...['fence-lock', 'lock-session', 'migrate'].map(
    (name) => `services/platform/src/database/${name}.test.ts`,
  ),
  'services/platform/src/{outbox,consumer,event-store,receipts}/**/*.test.ts',
  'services/{keys,privacy,tickets,predictions,usage,analytics}/src/**/*.test.ts',
  'integration-tests/races/**/*.test.ts',
];

async function runMocha(args: readonly string[]): Promise<{ status: number | null; said: string }> {
  const mocha = path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
  const child = spawn(process.execPath, [mocha, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { status, said: said.join('') };
}

describe('the suites of everything that keeps its state in PostgreSQL', function () {
  this.timeout(600_000);

  it('pass on a server as they pass on PGlite, without a deadlock', async function () {
    if (findPostgresBinaries() === undefined && process.env['CI'] !== 'true') {
      console.warn('SKIPPED: no PostgreSQL server here (apt-get install postgresql)');
      this.skip();
    }
    const hooks = './integration-tests/contracts/with-postgres.ts';
    const { status, said } = await runMocha(['--require', hooks, ...suites]);
    assert.equal(status, 0, said);
    const passed = Number(/^(\d+) passed, 0 failed/m.exec(said)?.[1] ?? 0);
    console.log(`    ${passed} tests passed on PostgreSQL`);
    assert.ok(passed > 400, said);
  });
});
