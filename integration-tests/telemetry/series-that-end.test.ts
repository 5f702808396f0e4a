import assert from 'node:assert/strict';
import { rpcMetrics } from '@lethe/platform/grpc/metrics.ts';
import { leaseMetrics } from '@lethe/platform/key-client/metrics.ts';
import { serviceMetrics } from '@lethe/platform/lifecycle/metrics.ts';
import { observeProblems } from '@lethe/platform/lifecycle/observe-service.ts';
import { observersThatEnd } from '@lethe/platform/telemetry/observers-that-end.ts';
import type { RunningTelemetry } from '@lethe/platform/telemetry/open-telemetry.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { openTestTelemetry } from '../harness/open-test-telemetry.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../harness/otlp-receiver.ts';

describe('a series that ends', () => {
  let receiver: OtlpReceiver;
  let running: RunningTelemetry;
  beforeEach(async () => {
    receiver = await startOtlpReceiver();
    running = openTestTelemetry(receiver.endpoint);
  });
  afterEach(async () => {
    await running.stop(1_000);
    await receiver.close();
  });

  const exports = (name: string) => receiver.metrics().filter((each) => each.name === name);
  /** Two more: the first may have been asked before. */
  const exportedAnew = async (name: string) => {
    const before = exports(name).length;
    await until(() => exports(name).length >= before + 2);
    return exports(name).at(-1);
  };
  const relay = { 'lethe.component': 'relay' };

  it('is told no more: a problem that has passed leaves a 0 alone', async () => {
    let problem: string | undefined = 'partition tickets.v1/0 stopped: SEQUENCE_GAP at 17';
    observeProblems(running.of('tickets'), { relay: () => problem });
    const stopped = { attributes: { ...relay, 'error.type': 'SEQUENCE_GAP' }, value: 1 };
    assert.deepEqual((await exportedAnew('lethe.problems'))?.points, [stopped]);
    problem = undefined;
    const well = { attributes: relay, value: 0 };
    assert.deepEqual((await exportedAnew('lethe.problems'))?.points, [well]);
  });

  it('is nothing of a start that failed: what came after it is asked alone', async () => {
    const given = observersThatEnd(running.of('tickets'));
    running
      .of('tickets')
      .meter(serviceMetrics)
      .observe('lethe.ready', () => [{ value: 1, attributes: {} }]);
    // Registered after it, so that the SDK would believe it.
    given.telemetry
      .meter(serviceMetrics)
      .observe('lethe.ready', () => [{ value: 0, attributes: {} }]);
    assert.deepEqual((await exportedAnew('lethe.ready'))?.points, [{ attributes: {}, value: 0 }]);
    given.end();
    assert.deepEqual((await exportedAnew('lethe.ready'))?.points, [{ attributes: {}, value: 1 }]);
  });

  it('and so is what cannot be looked at: nothing, rather than what it was', async () => {
    const meter = running.of('tickets').meter(serviceMetrics);
    let isAway = false;
    meter.observe('lethe.ready', async () => {
      if (isAway) throw new Error('nobody answers');
      return [{ value: 1, attributes: {} }];
    });
    meter.observe('process.memory.usage', () => [{ value: 1, attributes: {} }]);
    await exportedAnew('lethe.ready');
    isAway = true;
    await exportedAnew('process.memory.usage');
    const told = exports('lethe.ready').length;
    await exportedAnew('process.memory.usage');
    assert.equal(exports('lethe.ready').length, told);
    isAway = false;
    assert.equal((await exportedAnew('lethe.ready'))?.points[0]?.value, 1);
  });

  it('is none that counts: what was counted once is told at each export', async () => {
    const telemetry = running.of('tickets');
    const lookup = { 'lethe.lease.purpose': 'seal', 'lethe.lease.result': 'hit' } as const;
    telemetry.meter(leaseMetrics).add('lethe.lease.lookups', 3, lookup);
    telemetry.meter(rpcMetrics).record('rpc.server.call.duration', 0.5, {});
    const [counted, timed] = await Promise.all(
      ['lethe.lease.lookups', 'rpc.server.call.duration'].map(exportedAnew),
    );
    assert.deepEqual(counted?.points, [{ attributes: lookup, value: 3 }]);
    assert.deepEqual(timed?.points, [{ attributes: {}, value: 1 }]);
    assert.deepEqual([counted?.isCumulative, timed?.isCumulative], [true, true]);
  });
});
