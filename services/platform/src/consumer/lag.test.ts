import assert from 'node:assert/strict';
import type { EventLog } from '../event-log/port.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createRecordingTelemetry } from '../testing/recording-telemetry.ts';
import { observeLag } from './lag.ts';

const topic = 'tickets.v1';

describe('the lag of a consumer', () => {
  function world() {
    const state = {
      nowMs: 1_000_000,
      end: 10n,
      position: 10n,
      retentionMs: undefined as number | undefined,
    };
    const clock = { ...systemClock, nowMs: () => state.nowMs, monotonicMs: () => state.nowMs };
    const eventLog = {
      endOffsets: async () => [state.end],
      retentionMs: async () => state.retentionMs,
    } as unknown as EventLog;
    const { telemetry, look } = createRecordingTelemetry();
    const held = () => [{ topic, partition: 0, position: state.position }];
    const consumer = 'analytics-projection';
    const lag = observeLag({
      consumer,
      topics: [topic],
      eventLog,
      telemetry,
      clock,
      positions: { held },
    });
    const after = async (ms: number) => {
      state.nowMs += ms;
      return (await look('lethe.consumer.lag'))[0]?.value;
    };
    return { state, lag, look, after };
  }

  it('is nothing at the end, however long nothing came', async () => {
    const { state, after } = world();
    assert.equal(await after(0), 0);
    assert.equal(await after(3_600_000), 0);
    state.end = 11n;
    assert.equal(await after(5_000), 5);
    assert.equal(await after(60_000), 65);
    state.position = 11n;
    assert.equal(await after(1_000), 0);
  });

  it('of one that is behind and moves is the age of what it applied last', async () => {
    const { state, lag, after } = world();
    state.end = 1_000n;
    assert.equal(await after(0), 0);
    assert.equal(await after(90_000), 90);
    lag.applied({ topic, partition: 0 }, state.nowMs - 30_000);
    assert.equal(await after(1_000), 31);
    // An older record, of another batch, changes nothing.
    lag.applied({ topic, partition: 0 }, 0);
    assert.equal(await after(1_000), 32);
  });

  it('of one that starts far behind is what it is from the first record that it applies', async () => {
    const { state, lag, look, after } = world();
    state.nowMs = Date.UTC(2026, 0, 1);
    state.end = 1_000n;
    state.retentionMs = 7 * 86_400_000;
    assert.equal(await after(0), 0, 'nothing is known yet');
    lag.applied({ topic, partition: 0 }, state.nowMs - 6 * 86_400_000);
    assert.equal(await after(1_000), 6 * 86_400 + 1);
    const [margin] = await look('lethe.log.retention.margin');
    assert.equal(margin?.value, 86_400 - 1);
    lag.applied({ topic, partition: 0 }, state.nowMs - 5_000);
    assert.equal(await after(2_000), 7);
  });

  it('lessens what retention leaves, which is without end by default', async () => {
    const { state, look, after } = world();
    const margin = async () => (await look('lethe.log.retention.margin'))[0]?.value;
    assert.equal(await margin(), Infinity);
    state.retentionMs = 86_400_000;
    state.end = 11n;
    await after(10_000);
    assert.equal(await margin(), 86_390);
  });
});
