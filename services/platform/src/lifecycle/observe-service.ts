import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Reason, reasons } from '@lethe/proto/reasons.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { serviceMetrics } from './metrics.ts';

type Component = NonNullable<Attributes['lethe.component']>;

/** Tells the problems of a service's parts: what their `problem()` says, by its reasons. */
export function observeProblems(
  telemetry: Telemetry,
  parts: Readonly<Partial<Record<Component, () => string | undefined>>>,
): void {
  if (!telemetry.isOn) return;
  const all = Object.entries(parts) as [Component, () => string | undefined][];
  telemetry.meter(serviceMetrics).observe('lethe.problems', () =>
    all.flatMap(([component, problem]) => {
      const said = problem();
      const attributes = { 'lethe.component': component };
      if (said === undefined) return [{ value: 0, attributes }];
      const named = reasonsIn(said);
      if (named.length === 0) return [{ value: 1, attributes }];
      return named.map((reason) => ({
        value: 1,
        attributes: { ...attributes, 'error.type': reason },
      }));
    }),
  );
}

/** The reasons that a text names, each once. */
function reasonsIn(text: string): readonly Reason[] {
  const words = text.match(/\b[A-Z][A-Z_]+\b/g) ?? [];
  return [...new Set(words)].filter((word): word is Reason => Object.hasOwn(reasons, word));
}

/** Tells of the process: once per process, however many services it holds. */
export function observeProcess(telemetry: Telemetry, isReady: () => boolean): () => void {
  if (!telemetry.isOn) return () => undefined;
  const meter = telemetry.meter(serviceMetrics);
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  meter.observe('lethe.ready', () => [{ value: isReady() ? 1 : 0, attributes: {} }]);
  meter.observe('process.memory.usage', () => [
    { value: process.memoryUsage.rss(), attributes: {} },
  ]);
  meter.observe('nodejs.eventloop.delay.p99', () => {
    const seconds = delay.percentile(99) / 1e9;
    delay.reset();
    return [{ value: seconds, attributes: {} }];
  });
  return () => delay.disable();
}
