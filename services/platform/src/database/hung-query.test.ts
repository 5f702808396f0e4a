import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { startHungQueryWatchdog } from './hung-query.ts';

const moduleUrl = new URL('./hung-query.ts', import.meta.url).href;

/** Runs `work` under a watchdog in a process of its own. */
function runWatched(work: string) {
  const script = `
    import { startHungQueryWatchdog } from ${JSON.stringify(moduleUrl)};
    const watchdog = startHungQueryWatchdog({
      timeoutMs: 300,
      onHung: () => {},
      killsAfterMs: 100,
    });
    await watchdog.watch(async () => { ${work} });
    await watchdog.stop();
    console.log('went on');`;
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    timeout: 30_000,
  });
}

describe('the watchdog of an embedded database', function () {
  this.timeout(60_000);

  it('ends a process whose event loop never turns again, with the reason', () => {
    const { signal, stderr, stdout } = runWatched('for (;;) {}');
    assert.equal(signal, 'SIGKILL');
    assert.match(stderr, /"level":"fatal".*has not answered.*is the disk full\?/);
    assert.doesNotMatch(stdout, /went on/);
  });

  it('lets a statement that answers go on', () => {
    const { status, stdout, stderr } = runWatched('');
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.match(stdout, /went on/);
  });

  it('tells once when a statement does not answer and the event loop turns', async () => {
    const told: string[] = [];
    const hung = Promise.withResolvers<undefined>();
    const watchdog = startHungQueryWatchdog({
      timeoutMs: 5,
      onHung: (reason) => {
        told.push(reason);
        hung.resolve(undefined);
      },
      killsAfterMs: undefined,
    });
    const answered = await watchdog.watch(async () => {
      await hung.promise;
      return 'late';
    });
    assert.equal(answered, 'late');
    watchdog.report('again');
    assert.deepEqual(told, ['a database statement has not answered for 5 ms']);
    await watchdog.stop();
  });
});
