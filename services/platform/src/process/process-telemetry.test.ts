import assert from 'node:assert/strict';
import { systemClock } from '../lifecycle/clock.ts';
import { createUndoStack } from '../lifecycle/undo-stack.ts';
import { createRecordingTelemetry } from '../testing/recording-telemetry.ts';
import { noTelemetry } from '../telemetry/port.ts';
import type { TlsSource } from '../tls/tls-source.ts';
import { beginTelemetry, type ProcessToObserve } from './process-telemetry.ts';

const nowMs = 1_000_000;
const sourceUntil = (expiresMs: number, problem?: string): TlsSource =>
  ({
    current: () => ({ expiresMs }),
    problem: () => problem,
    warning: () => undefined,
  }) as unknown as TlsSource;
const observed: ProcessToObserve = {
  name: 'tickets',
  clock: { ...systemClock, nowMs: () => nowMs },
  isReady: () => true,
  serviceProblem: () => undefined,
  openedProblem: () => 'KMS_SEALED: the KMS is sealed',
  tls: () => [sourceUntil(nowMs + 60_000), sourceUntil(nowMs - 5_000, 'tls: has expired')],
};

describe('the telemetry of a process', () => {
  it('is off unless it was opened', () => {
    assert.equal(beginTelemetry(undefined, createUndoStack(), observed), noTelemetry);
  });

  it('tells certificates, readiness and problems, and ends after all else', async () => {
    const { telemetry, look } = createRecordingTelemetry();
    const ended: string[] = [];
    const running = {
      of: () => telemetry,
      logs: { copy: () => undefined, traceFields: () => ({}) },
      stop: async (boundMs: number) => void ended.push(`telemetry within ${boundMs}`),
    };
    const undo = createUndoStack();
    beginTelemetry(running, undo, observed);
    undo.push(async () => void ended.push('service'));
    assert.deepEqual(await look('lethe.tls.certificate.lifetime'), [
      { value: 60, attributes: { 'lethe.certificate.use': 'internal' } },
      { value: -5, attributes: { 'lethe.certificate.use': 'public' } },
    ]);
    assert.deepEqual(await look('lethe.ready'), [{ value: 1, attributes: {} }]);
    assert.deepEqual(await look('lethe.problems'), [
      { value: 0, attributes: { 'lethe.component': 'service' } },
      { value: 1, attributes: { 'lethe.component': 'kms', 'error.type': 'KMS_SEALED' } },
      { value: 1, attributes: { 'lethe.component': 'tls' } },
    ]);
    await undo.run();
    assert.deepEqual(ended, ['service', 'telemetry within 3000']);
  });
});
