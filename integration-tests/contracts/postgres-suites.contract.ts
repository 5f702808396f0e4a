import assert from 'node:assert/strict';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { runMocha } from './run-mocha.ts';

/** Every suite that takes its database from `openTestDatabase`: the laws are the same on PGlite and on a server. */
const suites = [
  ...['fence-lock', 'lock-session', 'migrate'].map(
    (name) => `services/platform/src/database/${name}.test.ts`,
  ),
  'services/platform/src/{outbox,consumer,parking,event-store,rebuild,receipts}/**/*.test.ts',
  'services/{keys,privacy,tickets,predictions,usage,analytics}/src/**/*.test.ts',
  'integration-tests/races/**/*.test.ts',
];

/** They let a process die between two statements of its one connection, which PGlite alone lets a test do. */
const onPgliteAlone = [
  'leaves the live tables as they were, whichever statement the process dies at',
  'cleans up what one that died left, whoever comes first',
];

describe('the suites of everything that keeps its state in PostgreSQL', function () {
  // Hundreds of tests in one: minutes on an idle machine, more than ten beside much else.
  this.timeout(1_200_000);

  it('pass on a server as they pass on PGlite, without a deadlock', async function () {
    if (findPostgresBinaries() === undefined && process.env['CI'] !== 'true') {
      console.warn('SKIPPED: no PostgreSQL server here (apt-get install postgresql)');
      this.skip();
    }
    const hooks = './integration-tests/contracts/with-postgres.ts';
    const without = ['--invert', '--grep', onPgliteAlone.join('|')];
    const args = ['--require', hooks, ...without, ...suites];
    const { status, passed, said } = await runMocha(args);
    assert.equal(status, 0, said);
    console.log(`    ${passed} tests passed on PostgreSQL`);
    assert.ok(passed > 400, said);
  });
});
