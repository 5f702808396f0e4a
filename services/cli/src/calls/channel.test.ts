import assert from 'node:assert/strict';
import { isLoopback } from './channel.ts';

describe('a channel', () => {
  it('speaks plaintext to this machine alone', () => {
    for (const address of ['localhost:7480', '127.0.0.1:7480', '127.1.2.3:1', '[::1]:7480']) {
      assert.equal(isLoopback(address), true, address);
    }
    const others = [
      '10.0.0.1:7480',
      'lethe.example:443',
      '127.0.0.1.lethe.example:1',
      'localhost.example:1',
      '[::2]:1',
      'localhost:1@evil:2',
    ];
    for (const address of others) assert.equal(isLoopback(address), false, address);
  });
});
