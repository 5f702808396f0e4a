import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { openTelemetry, type RunningTelemetry } from '@lethe/platform/telemetry/open-telemetry.ts';

/** The telemetry of one process by the SDK itself, without traces, to this endpoint; metrics twice a second. */
export function openTestTelemetry(endpoint: string): RunningTelemetry {
  const config = {
    endpoint: new URL(endpoint),
    authority: undefined,
    headers: new Map(),
    traceRatio: 0,
    intervalMs: 500,
    instance: 'one',
  };
  return openTelemetry(config, {
    name: 'tickets',
    clock: systemClock,
    randomBytes: (size) => Buffer.alloc(size, 7),
    onUndelivered: () => undefined,
  });
}
