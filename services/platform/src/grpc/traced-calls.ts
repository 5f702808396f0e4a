import type { ServiceName } from '@lethe/proto/access.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { Meter, OpenSpan, SpanToBegin, Telemetry } from '../telemetry/port.ts';
import { failureAttributes } from './failure-attributes.ts';
import type { CallContext, Peer, Peers, RegisteredMethod, ServiceRegistration } from './handler.ts';
import { rpcMetrics } from './metrics.ts';
import { inStreamSpan, messageSpans } from './traced-streams.ts';

type RpcMeter = Meter<typeof rpcMetrics>;
type CallMetric = keyof typeof rpcMetrics;

interface MeasuredCall {
  readonly metric: CallMetric;
  readonly attributes: Attributes<'rpc.system.name' | 'rpc.method' | 'lethe.peer'>;
  readonly span: Omit<SpanToBegin, 'attributes'>;
}

/**
 * The service with its calls in a span each, and its unary calls measured: streams last as long as their caller likes, and
 * how long that was says nothing.
 */
export function tracedService(service: Service, telemetry: Telemetry, clock: Clock): Service {
  if (!telemetry.isOn) return service;
  const measure = createMeasuring(telemetry, clock);
  const traced = (registrations: readonly ServiceRegistration[]) =>
    registrations.map((registration) => ({
      ...registration,
      methods: registration.methods.map((method) => tracedMethod(method, telemetry, measure)),
    }));
  return {
    publicApi: traced(service.publicApi),
    internalApi: traced(service.internalApi),
    start: async () => await service.start(),
    stop: async () => await service.stop(),
    problem: () => service.problem(),
  };
}

/** The peers with calls to them in a span each, and unary ones measured. */
export function tracedPeers(peers: Peers, telemetry: Telemetry, clock: Clock): Peers {
  if (!telemetry.isOn) return peers;
  const measure = createMeasuring(telemetry, clock);
  return (service) => tracedPeer(service, peers(service), telemetry, measure);
}

function tracedMethod(
  method: RegisteredMethod,
  telemetry: Telemetry,
  measure: Measure,
): RegisteredMethod {
  const attributes = rpcAttributes(method.definition.path);
  const spanOf = ({ traceContext }: CallContext) =>
    ({ name: 'rpc server', kind: 'server', parent: traceContext }) as const;
  const inSpan = (call: CallContext, answers: () => AsyncIterable<unknown>) =>
    inStreamSpan({
      telemetry,
      span: { ...spanOf(call), attributes },
      signal: call.signal,
      answers,
    });
  switch (method.kind) {
    case 'unary': {
      const metric = 'rpc.server.call.duration';
      const handler: typeof method.handler = async (request, call) =>
        await measure({ metric, attributes, span: spanOf(call) }, async () =>
          method.handler(request, call),
        );
      return { ...method, handler };
    }
    case 'serverStream': {
      const handler: typeof method.handler = (request, call) =>
        inSpan(call, () => method.handler(request, call));
      return { ...method, handler };
    }
    case 'bidi': {
      const aroundMessage = messageSpans(telemetry, { attributes });
      const handler: typeof method.handler = (requests, call) =>
        inSpan(call, () => method.handler(requests, { ...call, aroundMessage }));
      return { ...method, handler };
    }
  }
}

function tracedPeer(
  service: ServiceName,
  peer: Peer,
  telemetry: Telemetry,
  measure: Measure,
): Peer {
  const span = { name: 'rpc client', kind: 'client' } as const;
  const attributesOf = (path: string) => ({ ...rpcAttributes(path), 'lethe.peer': service });
  return {
    unary: async (method, request, options) => {
      const attributes = attributesOf(method.path);
      const metric = 'rpc.client.call.duration';
      return await measure({ metric, attributes, span }, async () =>
        peer.unary(method, request, options),
      );
    },
    serverStream: (method, request, options) =>
      inStreamSpan({
        telemetry,
        span: { ...span, attributes: attributesOf(method.path) },
        signal: options?.signal,
        answers: () => peer.serverStream(method, request, options),
      }),
  };
}

function rpcAttributes(path: string) {
  return { 'rpc.system.name': 'grpc', 'rpc.method': path.slice(1) } as const;
}

type Measure = <Result>(call: MeasuredCall, work: () => Promise<Result>) => Promise<Result>;

function createMeasuring(telemetry: Telemetry, clock: Clock): Measure {
  const meter: RpcMeter = telemetry.meter(rpcMetrics);
  return async ({ metric, attributes, span }, work) => {
    const beganMs = clock.monotonicMs();
    const ended = (open: OpenSpan, outcome: Attributes<'rpc.response.status_code'>) => {
      open.set(outcome);
      meter.record(metric, (clock.monotonicMs() - beganMs) / 1_000, { ...attributes, ...outcome });
    };
    return await telemetry.inSpan({ ...span, attributes }, async (open) => {
      try {
        const result = await work();
        ended(open, { 'rpc.response.status_code': 'OK' });
        return result;
      } catch (error) {
        ended(open, failureAttributes(error));
        throw error;
      }
    });
  };
}
