import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, isSpanContextValid, trace, TraceFlags } from '@opentelemetry/api';
import type { TraceContext } from './trace-context.ts';

/** In which span the running code is; one per process, so that calls within it are seen as calls. */
export interface TraceScope {
  run<Result>(context: Context, work: () => Promise<Result>): Promise<Result>;
  active(): Context | undefined;
  /** The active span, when it is sampled. */
  current(): TraceContext | undefined;
}

export function createTraceScope(): TraceScope {
  const storage = new AsyncLocalStorage<Context>();
  return {
    run: async (context, work) => await storage.run(context, work),
    active: () => storage.getStore(),
    current: () => {
      const active = storage.getStore();
      const found = active === undefined ? undefined : trace.getSpanContext(active);
      if (found === undefined || !isSpanContextValid(found)) return undefined;
      const isSampled = (found.traceFlags & TraceFlags.SAMPLED) !== 0;
      return isSampled ? { traceId: found.traceId, spanId: found.spanId } : undefined;
    },
  };
}
