import assert from 'node:assert/strict';
import { createJumpingClock } from '../testing/captured.ts';
import { createPace, pacedBatches } from './pace.ts';

const { signal } = new AbortController();

describe('a pace', () => {
  it('lets as much through as the rate says, in turn', async () => {
    const clock = createJumpingClock();
    const startedMs = clock.nowMs();
    const pace = createPace(500, { clock, signal });
    const turns: number[] = [];
    for (const count of [150, 150, 50, 1]) {
      await pace.turn(count);
      turns.push(clock.nowMs() - startedMs);
    }
    assert.deepEqual(turns, [0, 300, 600, 700]);
  });

  it('counts all who ask at the same time', async () => {
    const clock = createJumpingClock();
    const asked: number[] = [];
    const sleep = async (durationMs: number) => {
      asked.push(durationMs);
      await Promise.resolve();
    };
    const pace = createPace(100, { clock: { ...clock, sleep }, signal });
    await Promise.all([pace.turn(50), pace.turn(50), pace.turn(50)]);
    assert.deepEqual(asked, [500, 1_000]);
  });

  it('makes up for nothing after a time in which nobody asked', async () => {
    const clock = createJumpingClock();
    const pace = createPace(100, { clock, signal });
    await pace.turn(100);
    await clock.sleep(60_000);
    const startedMs = clock.nowMs();
    for (const count of [100, 100, 100]) await pace.turn(count);
    assert.equal(clock.nowMs() - startedMs, 2_000);
  });

  it('ends at the signal', async () => {
    const clock = createJumpingClock();
    const pace = createPace(100, { clock, signal: AbortSignal.abort() });
    await pace.turn(1);
    await assert.rejects(pace.turn(1), { name: 'AbortError' });
  });

  it('holds back messages by the events in them', async () => {
    const clock = createJumpingClock();
    const startedMs = clock.nowMs();
    const sent: [atMs: number, events: readonly number[]][] = [];
    const pace = createPace(10, { clock, signal });
    for await (const { events } of pacedBatches([1, 2, 3, 4, 5], 2, pace)) {
      sent.push([clock.nowMs() - startedMs, events]);
    }
    assert.deepEqual(sent, [
      [0, [1, 2]],
      [200, [3, 4]],
      [400, [5]],
    ]);
  });
});
