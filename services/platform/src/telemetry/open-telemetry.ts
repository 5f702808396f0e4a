import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type Sampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { LogCopies } from '../log/logger.ts';
import type { TelemetryConfig } from './config.ts';
import { createInstruments } from './instruments.ts';
import { createLogExport } from './log-export.ts';
import type { MetricTable } from './metric-table.ts';
import type { Meter, Telemetry } from './port.ts';
import { createSampler, createSpans } from './spans.ts';
import { createTraceScope, type TraceScope } from './trace-scope.ts';

export interface TelemetryHost {
  /** The process: what its own log lines are of. */
  readonly name: ServiceName | 'standalone';
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Something could not be delivered; told at most once an hour. */
  readonly onUndelivered: () => void;
}

/** Telemetry of a process that sends it. */
export interface RunningTelemetry {
  /** Of one service in this process. */
  readonly of: (service: ServiceName | 'standalone') => Telemetry;
  readonly logs: LogCopies;
  /** Sends what is left, for at most `boundMs`, and ends. Idempotent; never rejects. */
  stop(boundMs: number): Promise<void>;
}

/** A collector that does not answer costs this much memory, and what comes then is dropped. */
const queueMax = 2_048;
const batchMax = 512;
/** A stop sends all that is queued at once, beside a batch that is under way; what is beyond this would be dropped. */
const requestsMax = queueMax / batchMax + 1;
const exportTimeoutMs = 5_000;
const tellEveryMs = 3_600_000;

/**
 * Sends metrics, spans and copies of log lines by OTLP over HTTP (docs/decisions/telemetry.md says why HTTP). Nothing
 * waits for it: what cannot be sent is queued up to a bound and then dropped.
 */
export function openTelemetry(config: TelemetryConfig, host: TelemetryHost): RunningTelemetry {
  const scope = createTraceScope();
  // With a letter first: one of digits alone would be masked by the collector, for the number of somebody's card.
  const instance = config.instance ?? `p${host.randomBytes(8).toString('hex')}`;
  const telling = createTelling(host);
  const sampler = createSampler(config.traceRatio);
  const services = new Map<string, ServiceTelemetry>();
  const resource = resourceOf(host.name, instance);
  const logs = new LoggerProvider({
    resource,
    processors: [
      new BatchLogRecordProcessor({
        exporter: telling(new OTLPLogExporter(exporterConfig(config, 'logs'))),
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  let stopped: Promise<void> | undefined;
  const stop = async (boundMs: number): Promise<void> => {
    const ends = [...services.values()].map(async (each) => await each.stop());
    const all = Promise.allSettled([...ends, logs.shutdown()]);
    const bound = new AbortController();
    await Promise.race([all, host.clock.sleep(boundMs, bound.signal).catch(() => undefined)]);
    bound.abort();
  };
  return {
    of: (service) => {
      const found = services.get(service);
      if (found !== undefined) return found.telemetry;
      const parts = { config, scope, sampler, telling, resource: resourceOf(service, instance) };
      const made = openService(parts);
      services.set(service, made);
      return made.telemetry;
    },
    logs: createLogExport(logs.getLogger('lethe'), scope),
    stop: async (boundMs) => await (stopped ??= stop(boundMs)),
  };
}

interface ServiceTelemetry {
  readonly telemetry: Telemetry;
  stop(): Promise<unknown>;
}

interface ServiceParts {
  readonly config: TelemetryConfig;
  readonly scope: TraceScope;
  readonly sampler: Sampler;
  readonly resource: Resource;
  readonly telling: Telling;
}

function openService({
  config,
  scope,
  sampler,
  resource,
  telling,
}: ServiceParts): ServiceTelemetry {
  const traces = new TracerProvider({
    resource,
    sampler,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: telling(new OTLPTraceExporter(exporterConfig(config, 'traces'))),
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        exportTimeoutMillis: exportTimeoutMs,
        scheduledDelayMillis: Math.min(config.intervalMs, 5_000),
      }),
    ],
  });
  const metrics = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: telling(new MetricExporter(exporterConfig(config, 'metrics'))),
        exportIntervalMillis: config.intervalMs,
        exportTimeoutMillis: Math.min(exportTimeoutMs, config.intervalMs),
      }),
    ],
  });
  const sdkMeter = metrics.getMeter('lethe');
  const meters = new Map<MetricTable, unknown>();
  return {
    telemetry: {
      isOn: true,
      meter: <Table extends MetricTable>(table: Table): Meter<Table> => {
        // One table is asked for by several parts of a service, which share its instruments.
        const made = meters.get(table) ?? createInstruments(sdkMeter, table);
        meters.set(table, made);
        return made as Meter<Table>;
      },
      ...createSpans(traces.getTracer('lethe'), scope),
    },
    stop: async () => await Promise.allSettled([traces.shutdown(), metrics.shutdown()]),
  };
}

function resourceOf(service: string, instance: string): Resource {
  return resourceFromAttributes({
    'service.namespace': 'lethe',
    'service.name': service,
    'service.instance.id': instance,
  });
}

function exporterConfig(config: TelemetryConfig, signal: 'traces' | 'metrics' | 'logs') {
  const { endpoint, headers, authority } = config;
  const base = endpoint.href.endsWith('/') ? endpoint.href : `${endpoint.href}/`;
  return {
    url: new URL(`v1/${signal}`, base).href,
    headers: Object.fromEntries(Array.from(headers, ([name, value]) => [name, value.reveal()])),
    timeoutMillis: exportTimeoutMs,
    concurrencyLimit: requestsMax,
    ...(authority === undefined ? {} : { httpAgentOptions: { ca: authority } }),
  };
}

/**
 * What a gauge is not asked about any more, or could not say, is not exported. The SDK's cumulative default would send every
 * series it has ever seen again as new: a problem that has ended, a lag that nobody can measure.
 */
class MetricExporter extends OTLPMetricExporter {
  override selectAggregationTemporality(instrument: InstrumentType): AggregationTemporality {
    return instrument === InstrumentType.OBSERVABLE_GAUGE
      ? AggregationTemporality.DELTA
      : AggregationTemporality.CUMULATIVE;
  }
}

interface Exporter {
  export(items: never, done: (result: { readonly code: number }) => void): void;
}

type Telling = <One extends Exporter>(exporter: One) => One;

/** Has an exporter's failures told: the SDK keeps them to itself. */
function createTelling({ clock, onUndelivered }: TelemetryHost): Telling {
  let quietUntilMs = -Infinity;
  return (exporter) => {
    const send = exporter.export.bind(exporter);
    exporter.export = (items, done) =>
      send(items, (result) => {
        done(result);
        if (result.code === 0 || clock.monotonicMs() < quietUntilMs) return;
        quietUntilMs = clock.monotonicMs() + tellEveryMs;
        onUndelivered();
      });
    return exporter;
  };
}
