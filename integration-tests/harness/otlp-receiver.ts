import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { readWire, type WireFields } from './wire-fields.ts';

export interface ReceivedMetric {
  readonly service: string;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'counter' | 'histogram';
  /** Names on its points. */
  readonly attributes: readonly string[];
  readonly points: readonly ReceivedPoint[];
  /** Whether a point tells of all since the start; a gauge's tells of now. */
  readonly isCumulative: boolean;
}

export interface ReceivedPoint {
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Of a histogram how many values there were. */
  readonly value: number;
}

export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  /** Span ids. */
  readonly links: readonly string[];
  readonly kind: (typeof spanKinds)[number];
  readonly startedNs: bigint;
  readonly endedNs: bigint;
  /** Names. */
  readonly attributes: readonly string[];
  readonly values: Readonly<Record<string, string | number>>;
  /** Whatever text has a place in a span beside its name and attributes: of its state, events, status and links. */
  readonly otherTexts: readonly string[];
}

export interface ReceivedLog {
  readonly body: string;
  readonly attributes: readonly string[];
  readonly traceId: string;
}

const spanKinds = ['unknown', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** Takes what a collector would take: OTLP over HTTP, protobuf. */
export interface OtlpReceiver {
  /** For LETHE_TELEMETRY_ENDPOINT. */
  readonly endpoint: string;
  /** Every request's body, unpacked. */
  bodies(): readonly Buffer[];
  /** Names of the attributes of resources. */
  resourceAttributes(): readonly string[];
  /** Each as often as it was exported, in that order. */
  metrics(): readonly ReceivedMetric[];
  spans(): readonly ReceivedSpan[];
  logs(): readonly ReceivedLog[];
  close(): Promise<void>;
}

type Signal = 'traces' | 'metrics' | 'logs';

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const received: { readonly signal: Signal; readonly body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const signal = request.url?.replace('/v1/', '') as Signal;
      const sent = Buffer.concat(parts);
      const isPacked = request.headers['content-encoding'] === 'gzip';
      received.push({ signal, body: isPacked ? gunzipSync(sent) : sent });
      response.setHeader('content-type', 'application/x-protobuf');
      response.end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const read = <Item>(signal: Signal, items: (service: string, scope: WireFields) => Item[]) =>
    received
      .filter((each) => each.signal === signal)
      .flatMap(({ body }) => readWire(body).messages(1))
      .flatMap((resource) =>
        resource.messages(2).flatMap((scope) => items(serviceOf(resource), scope)),
      );
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bodies: () => received.map(({ body }) => body),
    resourceAttributes: () =>
      received
        .flatMap(({ body }) => readWire(body).messages(1))
        .flatMap((resource) => resource.messages(1))
        .flatMap((each) => keysOf(each, 1)),
    metrics: () =>
      read('metrics', (service, scope) => scope.messages(2).map((each) => metricOf(service, each))),
    spans: () =>
      read('traces', (service, scope) => scope.messages(2).map((each) => spanOf(service, each))),
    logs: () => read('logs', (_, scope) => scope.messages(2).map(logOf)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Field numbers of opentelemetry/proto/{common,resource,metrics,trace,logs}/v1.

function serviceOf(resource: WireFields): string {
  const attributes = resource.messages(1).flatMap((each) => each.messages(1));
  const found = attributes.find((each) => each.text(1) === 'service.name');
  return found?.messages(2)[0]?.text(1) ?? '';
}

function keysOf(message: WireFields, field: number): readonly string[] {
  return message.messages(field).map((each) => each.text(1));
}

function valueOf(any: WireFields | undefined): string | number {
  if (any?.present.has(3) === true) return Number(BigInt.asIntN(64, any.number(3)));
  return any?.present.has(4) === true ? doubleOf(any) : (any?.text(1) ?? '');
}

/** Of field 4, as which a double stands in values and in points alike. */
function doubleOf(message: WireFields): number {
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(message.number(4));
  return bits.readDoubleLE();
}

function metricOf(service: string, metric: WireFields): ReceivedMetric {
  const kind = metric.present.has(5) ? 'gauge' : metric.present.has(7) ? 'counter' : 'histogram';
  const field = kind === 'gauge' ? 5 : kind === 'counter' ? 7 : 9;
  const points = metric.messages(field).flatMap((each) => each.messages(1));
  return {
    service,
    name: metric.text(1),
    description: metric.text(2),
    unit: metric.text(3),
    kind,
    attributes: points.flatMap((point) => keysOf(point, kind === 'histogram' ? 9 : 7)),
    points: points.map((point) => pointOf(kind, point)),
    isCumulative: metric.messages(field)[0]?.number(2) === cumulative,
  };
}

const cumulative = 2n;

function pointOf(kind: ReceivedMetric['kind'], point: WireFields): ReceivedPoint {
  const isHistogram = kind === 'histogram';
  return {
    attributes: attributesOf(point, isHistogram ? 9 : 7),
    value:
      isHistogram || point.present.has(6)
        ? Number(point.number(isHistogram ? 4 : 6))
        : doubleOf(point),
  };
}

function attributesOf(message: WireFields, field: number) {
  return Object.fromEntries(
    message.messages(field).map((each) => [each.text(1), valueOf(each.messages(2)[0])]),
  );
}

function spanOf(service: string, span: WireFields): ReceivedSpan {
  return {
    service,
    name: span.text(5),
    traceId: span.bytes(1).toString('hex'),
    spanId: span.bytes(2).toString('hex'),
    parentId: span.bytes(4).toString('hex'),
    links: span.messages(13).map((link) => link.bytes(2).toString('hex')),
    kind: spanKinds[Number(span.number(6))] ?? 'unknown',
    startedNs: span.number(7),
    endedNs: span.number(8),
    attributes: keysOf(span, 9),
    values: attributesOf(span, 9),
    otherTexts: [
      span.text(3),
      ...span.messages(11).map((event) => event.text(2)),
      ...span.messages(13).flatMap((link) => [link.text(3), ...keysOf(link, 4)]),
      ...span.messages(15).map((status) => status.text(2)),
    ].filter((text) => text !== ''),
  };
}

function logOf(record: WireFields): ReceivedLog {
  return {
    body: record.messages(5)[0]?.text(1) ?? '',
    attributes: keysOf(record, 6),
    traceId: record.bytes(9).toString('hex'),
  };
}
