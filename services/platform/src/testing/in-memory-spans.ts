import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { noTelemetry, type Telemetry } from '../telemetry/port.ts';
import { createSampler, createSpans } from '../telemetry/spans.ts';
import { createTraceScope } from '../telemetry/trace-scope.ts';

/** Telemetry whose spans are kept here, by the SDK that services have. */
export interface InMemorySpans {
  readonly telemetry: Telemetry;
  /** In the order in which they ended. */
  readonly ended: () => readonly ReadableSpan[];
}

/** `ratio`: the share of traces that are recorded of those that begin here. */
export function createInMemorySpans(ratio = 1): InMemorySpans {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({
    sampler: createSampler(ratio),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const spans = createSpans(provider.getTracer('test'), createTraceScope());
  return {
    telemetry: { ...noTelemetry, isOn: true, ...spans },
    ended: () => exporter.getFinishedSpans(),
  };
}
