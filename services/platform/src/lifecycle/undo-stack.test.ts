import assert from 'node:assert/strict';
import { createUndoStack } from './undo-stack.ts';

describe('the undo stack', () => {
  it('closes the newest first, all of them, once, and throws the first failure', async () => {
    const closed: string[] = [];
    const undo = createUndoStack();
    undo.push(async () => void closed.push('store'));
    undo.push(async () => {
      closed.push('service');
      throw new Error('does not close');
    });
    undo.push(async () => void closed.push('server'));
    await assert.rejects(undo.run(), /does not close/);
    await assert.rejects(undo.run(), /does not close/);
    assert.deepEqual(closed, ['server', 'service', 'store']);
  });
});
