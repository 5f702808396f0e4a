import type { Telemetry } from './port.ts';
import { encodeTraceContext } from './trace-context.ts';

/** What records that the running code appends are to carry, when its trace is sampled. */
export function recordTraceContext(telemetry: Telemetry): (() => Buffer | undefined) | undefined {
  if (!telemetry.isOn) return undefined;
  return () => {
    const current = telemetry.current();
    return current === undefined ? undefined : encodeTraceContext(current);
  };
}
