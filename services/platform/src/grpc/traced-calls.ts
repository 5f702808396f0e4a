import type { ServiceName } from '@lethe/proto/access.ts';
import { reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { Meter, OpenSpan, SpanToBegin, Telemetry } from '../telemetry/port.ts';
import type { Peer, Peers, RegisteredMethod, ServiceRegistration } from './handler.ts';
import { rpcMetrics } from './metrics.ts';

type RpcMeter = Meter<typeof rpcMetrics>;
type CallMetric = keyof typeof rpcMetrics;

interface MeasuredCall {
  readonly metric: CallMetric;
  readonly attributes: Attributes<'rpc.method' | 'lethe.peer'>;
  readonly span: Omit<SpanToBegin, 'attributes'>;
}

/** The service with its unary calls measured, each in a span. Streams last as long as their caller likes: they are not. */
export function tracedService(service: Service, telemetry: Telemetry, clock: Clock): Service {
  if (!telemetry.isOn) return service;
  const measure = createMeasuring(telemetry, clock);
  const traced = (registrations: readonly ServiceRegistration[]) =>
    registrations.map((registration) => ({
      ...registration,
      methods: registration.methods.map((method) => tracedMethod(method, measure)),
    }));
  return {
    publicApi: traced(service.publicApi),
    internalApi: traced(service.internalApi),
    start: async () => await service.start(),
    stop: async () => await service.stop(),
    problem: () => service.problem(),
  };
}

/** The peers with calls to them measured, each in a span. */
export function tracedPeers(peers: Peers, telemetry: Telemetry, clock: Clock): Peers {
  if (!telemetry.isOn) return peers;
  const measure = createMeasuring(telemetry, clock);
  return (service) => tracedPeer(service, peers(service), measure);
}

function tracedMethod(method: RegisteredMethod, measure: Measure): RegisteredMethod {
  if (method.kind !== 'unary') return method;
  const attributes = { 'rpc.method': method.definition.path.slice(1) };
  const metric = 'rpc.server.call.duration';
  const handler: typeof method.handler = async (request, call) => {
    const span = { name: 'rpc server', kind: 'server', parent: call.traceContext } as const;
    return await measure({ metric, attributes, span }, async () => method.handler(request, call));
  };
  return { ...method, handler };
}

function tracedPeer(service: ServiceName, peer: Peer, measure: Measure): Peer {
  return {
    unary: async (method, request, options) => {
      const attributes = { 'rpc.method': method.path.slice(1), 'lethe.peer': service };
      const span = { name: 'rpc client', kind: 'client' } as const;
      const metric = 'rpc.client.call.duration';
      return await measure({ metric, attributes, span }, async () =>
        peer.unary(method, request, options),
      );
    },
    serverStream: (method, request, options) => peer.serverStream(method, request, options),
  };
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

function failureAttributes(error: unknown) {
  const reason = reasonOf(error);
  const { code } = error instanceof ServiceError ? error : new ServiceError(reason);
  return { 'rpc.response.status_code': code, 'error.type': reason } as const;
}
