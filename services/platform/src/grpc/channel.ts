import { Client, experimental, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import type { PeerCertificate } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { ServiceName } from '@lethe/proto/access.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import { createBackoff } from '../retry/backoff.ts';
import { encodeTraceparent, type TraceContext } from '../telemetry/trace-context.ts';
import { identityOf, serviceOf } from '../tls/service-identity.ts';
import type { TlsSource } from '../tls/tls-source.ts';
import { isLostOnTheWay, serviceErrorOf } from './call-failure.ts';
import type { MethodDefinition, Peer, Peers } from './handler.ts';
import { messageBytesMax } from './server.ts';

export interface ChannelOptions {
  /** `host:port` of the internal port of each service that is called. */
  readonly addresses: ReadonlyMap<ServiceName, string>;
  /** This service's own certificate, and the authority that the others' are of. */
  readonly tls: TlsSource;
  readonly clock: Clock;
  /** The span that calls are made in, when it is sampled. */
  readonly currentTrace?: () => TraceContext | undefined;
}

export interface Channels {
  readonly peers: Peers;
  /** Ends the connections; calls in flight are cut. */
  close(): void;
}

const neverAborted = new AbortController().signal;
/** Of a call that says nothing else, milliseconds. */
const defaultTimeoutMs = 30_000;
/**
 * Calls that were lost on the way are made again, as often as this in all: a service that restarts is back in a moment.
 * One of them may have been carried out before its answer was lost; every internal method may be repeated.
 */
const attemptsMax = 4;

const settings = {
  'grpc.max_receive_message_length': messageBytesMax,
  // Ours, below: the library's own need a service config.
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // A machine that vanished closes nothing: a watch on it would wait for ever.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/**
 * The peers of a service over gRPC with mutual TLS: the other implementation of `Peers` beside in-process.ts. One
 * connection per service, made at the first call and again whenever it breaks.
 */
export function openChannels(options: ChannelOptions): Channels {
  const { addresses, tls, clock, currentTrace = () => undefined } = options;
  if (tls.current().authority === undefined) throw new RangeError('peers need an authority');
  const certificates = providerOf(tls);
  const clients = new Map(
    Array.from(addresses, ([service, address]) => {
      const credentials = experimental.createCertificateProviderChannelCredentials(
        certificates,
        certificates,
        { checkServerIdentity: (_host, certificate) => wrongIdentity(service, certificate) },
      );
      // The name is in the handshake alone: an address by number may not stand there.
      const target = { ...settings, 'grpc.ssl_target_name_override': `${service}.lethe` };
      return [service, new Client(address, credentials, target)] as const;
    }),
  );
  return {
    peers: (service) => {
      const client = clients.get(service);
      if (client !== undefined) return createPeer(service, client, clock, currentTrace);
      throw new RangeError(`this service was given no address of ${service}`);
    },
    close: () => {
      for (const client of clients.values()) client.close();
    },
  };
}

/** A valid certificate of the platform is not enough: it must be that very service's, wherever it runs. */
function wrongIdentity(service: ServiceName, { raw }: PeerCertificate): Error | undefined {
  const named = serviceOf(new X509Certificate(raw));
  if (named === service) return undefined;
  return new Error(`the certificate is of ${named ?? 'no service'}, not ${identityOf(service)}`);
}

/** The library asks it anew for each connection, so that replaced files are taken up and none that stands is cut. */
function providerOf(tls: TlsSource): experimental.CertificateProvider {
  const ends = new Map<object, () => void>();
  const add = <Update>(
    listener: (update: Update | null) => void,
    updateOf: (material: ReturnType<TlsSource['current']>) => Update,
  ) => {
    ends.set(
      listener,
      tls.onChange((material) => listener(updateOf(material))),
    );
    process.nextTick(() => listener(updateOf(tls.current())));
  };
  const remove = (listener: object) => {
    ends.get(listener)?.();
    ends.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) =>
      add(listener, ({ authority }) => ({ caCertificate: authority ?? Buffer.alloc(0) })),
    removeCaCertificateListener: remove,
    addIdentityCertificateListener: (listener) =>
      add(listener, ({ certificate, privateKey }) => ({ certificate, privateKey })),
    removeIdentityCertificateListener: remove,
  };
}

function createPeer(
  service: ServiceName,
  client: Client,
  clock: Clock,
  currentTrace: () => TraceContext | undefined,
): Peer {
  return {
    unary: async (method, request, { signal, timeoutMs = defaultTimeoutMs } = {}) => {
      signal?.throwIfAborted();
      const endsMs = clock.monotonicMs() + timeoutMs;
      const backoff = createBackoff(50, 800);
      for (let attempt = 1; ; attempt++) {
        const restMs = endsMs - clock.monotonicMs();
        try {
          const metadata = metadataOf(currentTrace());
          return await unaryCall(client, method, request, { restMs, metadata, signal });
        } catch (error) {
          if (signal?.aborted === true) throw signal.reason;
          const delayMs = backoff.next();
          const isOver = attempt >= attemptsMax || delayMs >= restMs || !isLostOnTheWay(error);
          if (isOver) throw serviceErrorOf(error, service);
          await sleepQuietly(clock, delayMs, signal ?? neverAborted);
          signal?.throwIfAborted();
        }
      }
    },
    serverStream: (method, request, { signal } = {}) =>
      streamCall(client, service, method, request, { currentTrace, signal }),
  };
}

function metadataOf(current: TraceContext | undefined): Metadata {
  const metadata = new Metadata();
  if (current !== undefined) metadata.set('traceparent', encodeTraceparent(current));
  return metadata;
}

interface CallParts {
  /** How long the call may take. */
  readonly restMs: number;
  readonly metadata: Metadata;
  readonly signal: AbortSignal | undefined;
}

async function unaryCall<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  { restMs, metadata, signal }: CallParts,
): Promise<Response> {
  const answer = Promise.withResolvers<Response>();
  const call = client.makeUnaryRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadata,
    // The library takes a wall clock's moment; what is left is counted by ours.
    { deadline: Date.now() + Math.max(0, restMs) },
    (error, response) => {
      if (error !== null) answer.reject(error);
      else if (response === undefined) answer.reject(new ServiceError('INTERNAL_DEFECT'));
      else answer.resolve(response);
    },
  );
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await answer.promise;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

interface StreamParts {
  /** Asked when the stream is opened, which is when its reader begins. */
  readonly currentTrace: () => TraceContext | undefined;
  readonly signal: AbortSignal | undefined;
}

async function* streamCall<Request, Response>(
  client: Client,
  service: ServiceName,
  method: MethodDefinition<Request, Response>,
  request: Request,
  { currentTrace, signal }: StreamParts,
): AsyncIterable<Response> {
  signal?.throwIfAborted();
  const call: ClientReadableStream<Response> = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadataOf(currentTrace()),
  );
  // The library only emits the error: a reader that has not begun to read would see a clean end.
  let failure: Error | undefined;
  call.once('error', (error) => (failure = error));
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const response of call as AsyncIterable<Response>) yield response;
    if (failure !== undefined) throw failure;
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw serviceErrorOf(error, service);
  } finally {
    signal?.removeEventListener('abort', cancel);
    // Whoever stops reading wants no more.
    call.cancel();
  }
}
