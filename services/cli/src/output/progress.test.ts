import assert from 'node:assert/strict';
import { captureSurroundings } from '../testing/captured.ts';
import { startProgress } from './progress.ts';

const plan = { title: 'Streaming', total: 100 };

describe('progress', () => {
  it('is a few lines where nobody watches', () => {
    const { surroundings, err } = captureSurroundings();
    const progress = startProgress(surroundings.terminal, plan);
    for (let done = 0; done <= 100; done += 1) progress.update(done, 'fast');
    progress.finish('done');
    const lines = err().trimEnd().split('\n');
    assert.equal(lines.length, 11);
    assert.equal(lines[0], 'Streaming 10 %  10  fast');
    assert.equal(lines[10], 'Streaming  done');
  });

  for (const errColumns of [0, 1, 20, 300]) {
    it(`is one line that never wraps on a terminal of ${errColumns} columns`, () => {
      const { surroundings, err } = captureSurroundings();
      const terminal = { ...surroundings.terminal, isErrTerminal: true, errColumns };
      const progress = startProgress(terminal, plan);
      progress.update(50, 'a note that is rather long');
      progress.abandon();
      for (const painted of err().split('\r\u001b[2K')) {
        assert.ok(painted.length <= Math.max(errColumns, 3), `${painted.length} characters`);
        assert.doesNotMatch(painted, /\n/);
      }
    });
  }

  it('leaves its last word behind on a terminal', () => {
    const { surroundings, err } = captureSurroundings();
    const progress = startProgress({ ...surroundings.terminal, isErrTerminal: true }, plan);
    progress.finish('all of it');
    assert.match(err(), /✔ Streaming {2}all of it\n$/);
  });
});
