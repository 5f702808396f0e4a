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

  it('says once between two lines why it stands still', () => {
    const { surroundings, err } = captureSurroundings();
    const progress = startProgress(surroundings.terminal, plan);
    for (let wait = 0; wait < 5; wait += 1) progress.waiting('the server asks to wait');
    progress.update(10, 'slow');
    progress.waiting('the server asks to wait');
    assert.equal(
      err(),
      'Streaming  the server asks to wait\nStreaming 10 %  10  slow\nStreaming  the server asks to wait\n',
    );
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
