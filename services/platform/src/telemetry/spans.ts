import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';
import {
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import { reasonOf } from '../errors/failure.ts';
import { onlyAllowed } from './attributes.ts';
import { noSpan, type OpenSpan, type SpanToBegin, type Telemetry } from './port.ts';
import type { TraceContext } from './trace-context.ts';
import type { TraceScope } from './trace-scope.ts';

/** A batch of more traces than these has links to so many of them. */
const linksMax = 32;

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;

/**
 * Which traces are recorded: as the parent says; of those that begin here a share; a batch with links always, as its
 * links are to traces that are recorded.
 */
export function createSampler(ratio: number): Sampler {
  const share = new TraceIdRatioBasedSampler(ratio);
  const root: Sampler = {
    shouldSample: (context, traceId, _name, _kind, _attributes, links) =>
      links.length > 0
        ? { decision: SamplingDecision.RECORD_AND_SAMPLED }
        : share.shouldSample(context, traceId),
    toString: () => `links or ${share.toString()}`,
  };
  return new ParentBasedSampler({ root });
}

/** Spans of one service by the SDK's tracer. */
export function createSpans(
  tracer: Tracer,
  scope: TraceScope,
): Pick<Telemetry, 'inSpan' | 'begin' | 'current'> {
  return {
    inSpan: async (toBegin, work) => {
      const span = startSpan(tracer, scope, toBegin);
      if (span === undefined) return await work(noSpan);
      const open = openSpanOf(span, scope);
      return await open.within(async () => {
        try {
          const result = await work(open);
          open.end();
          return result;
        } catch (error) {
          open.end(error);
          throw error;
        }
      });
    },
    begin: (toBegin) => {
      const span = startSpan(tracer, scope, toBegin);
      return span === undefined ? noSpan : openSpanOf(span, scope);
    },
    current: () => scope.current(),
  };
}

function startSpan(tracer: Tracer, scope: TraceScope, toBegin: SpanToBegin): Span | undefined {
  const { kind, attributes = {}, batchOf, isOwnTrace = false, parent } = toBegin;
  if (batchOf?.length === 0) return undefined;
  const options = { kind: kinds[kind], attributes: onlyAllowed(attributes) };
  const spanName = nameOf(toBegin);
  if (isOwnTrace) {
    const span = tracer.startSpan(spanName, options, ROOT_CONTEXT);
    const around = scope.current();
    // Not among the options: the sampler takes what begins with links for a batch.
    return around === undefined ? span : span.addLink({ context: spanContextOf(around) });
  }
  if (batchOf !== undefined) {
    const batch = placeOfBatch(batchOf);
    return tracer.startSpan(spanName, { ...options, links: batch.links }, batch.context);
  }
  const context = parent === undefined ? scope.active() : remote(parent);
  return tracer.startSpan(spanName, options, context ?? ROOT_CONTEXT);
}

function nameOf({ name, attributes }: SpanToBegin): string {
  const isCall = name === 'rpc server' || name === 'rpc client';
  const method = attributes?.['rpc.method'];
  return isCall && method !== undefined ? String(method) : name;
}

function placeOfBatch(batchOf: readonly TraceContext[]): { context: Context; links: Link[] } {
  const distinct = [...new Map(batchOf.map((each) => [each.spanId, each])).values()];
  const [first, ...others] = distinct;
  const isOfOneTrace = others.every(({ traceId }) => traceId === first?.traceId);
  const linked = isOfOneTrace ? others : distinct;
  const links = linked.slice(0, linksMax).map((each) => ({ context: spanContextOf(each) }));
  return {
    context: isOfOneTrace && first !== undefined ? remote(first) : ROOT_CONTEXT,
    links,
  };
}

function remote(context: TraceContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, spanContextOf(context));
}

function spanContextOf({ traceId, spanId }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

function openSpanOf(span: Span, scope: TraceScope): OpenSpan {
  let hasEnded = false;
  return {
    set: (attributes) => void span.setAttributes(onlyAllowed(attributes)),
    within: async (work) => await scope.run(trace.setSpan(ROOT_CONTEXT, span), work),
    end: (failure) => {
      if (hasEnded) return;
      hasEnded = true;
      if (failure !== undefined) {
        // The reason alone: a message may name ids, and what is not ours may quote values.
        span.setAttributes(onlyAllowed({ 'error.type': reasonOf(failure) }));
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}
