import {
  Client,
  credentials,
  Metadata,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
} from '@grpc/grpc-js';
import { callErrorOf } from './call-error.ts';

/** The parts of a ts-proto method definition that a call needs. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface CallOptions {
  /** Absent for open methods. */
  readonly accessToken: string | undefined;
  readonly signal: AbortSignal;
}

/** One connection to one server. */
export interface Channel {
  readonly address: string;
  /** `deadlineMs`: when to give up, milliseconds since 1970 UTC. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions & { readonly deadlineMs: number },
  ): Promise<Response>;
  serverStream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions,
  ): AsyncIterable<Response>;
  openDuplex<Request, Response>(
    method: Method<Request, Response>,
    options: CallOptions,
  ): Duplex<Request, Response>;
  close(): void;
}

/** A stream in both directions; reading throws what the server ends it with. */
export interface Duplex<Request, Response> {
  write(request: Request): void;
  /** Says that nothing more will be written. */
  end(): void;
  cancel(): void;
  readonly responses: AsyncIterable<Response>;
}

const loopbackPattern = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

/**
 * Opens a channel to `host:port`; nothing is sent before the first call. Plaintext goes to this machine alone: an
 * access token must never cross a network in the clear, so every other host is spoken to over TLS.
 */
export function openChannel(address: string): Channel {
  const client = new Client(address, credentialsFor(address), {
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    // Retries are ours (retry.ts), so that they are the same for streams and can honour RetryInfo.
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
  });
  return {
    address,
    unary: (method, request, options) => unaryCall(client, address, method, request, options),
    serverStream: (method, request, options) =>
      serverStreamCall(client, address, method, request, options),
    openDuplex: (method, options) => duplexCall(client, address, method, options),
    close: () => client.close(),
  };
}

/** Whether the address is this machine's own, by its text alone. */
export function isLoopback(address: string): boolean {
  return loopbackPattern.test(address);
}

function credentialsFor(address: string): ChannelCredentials {
  return isLoopback(address) ? credentials.createInsecure() : credentials.createSsl();
}

async function unaryCall<Request, Response>(
  client: Client,
  address: string,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions & { readonly deadlineMs: number },
): Promise<Response> {
  options.signal.throwIfAborted();
  return await new Promise<Response>((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadataOf(options),
      { deadline: options.deadlineMs },
      (error, response) => {
        options.signal.removeEventListener('abort', cancel);
        if (error !== null) reject(rejection(error, address, options.signal));
        else if (response === undefined) reject(new TypeError(`${method.path} answered nothing`));
        else resolve(response);
      },
    );
    const cancel = () => call.cancel();
    options.signal.addEventListener('abort', cancel, { once: true });
  });
}

function serverStreamCall<Request, Response>(
  client: Client,
  address: string,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions,
): AsyncIterable<Response> {
  options.signal.throwIfAborted();
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadataOf(options),
  );
  return readAll<Response>(call, address, options.signal);
}

function duplexCall<Request, Response>(
  client: Client,
  address: string,
  method: Method<Request, Response>,
  options: CallOptions,
): Duplex<Request, Response> {
  options.signal.throwIfAborted();
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    metadataOf(options),
  );
  return {
    write: (request) => {
      call.write(request);
    },
    end: () => {
      call.end();
    },
    cancel: () => call.cancel(),
    responses: readAll<Response>(call, address, options.signal),
  };
}

/** Listens for the error at once: grpc-js only emits it, and a reader that starts later would see a clean end. */
function readAll<Response>(
  call: ClientReadableStream<Response> | ClientDuplexStream<never, Response>,
  address: string,
  signal: AbortSignal,
): AsyncIterable<Response> {
  let failure: Error | undefined;
  const cancel = () => call.cancel();
  call.once('error', (error) => (failure = error));
  signal.addEventListener('abort', cancel, { once: true });
  return (async function* () {
    try {
      // A readable of grpc-js yields what its deserializer gave.
      for await (const response of call as AsyncIterable<Response>) yield response;
      if (failure !== undefined) throw failure;
    } catch (error) {
      throw rejection(error, address, signal);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  })();
}

function rejection(error: unknown, address: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return callErrorOf(error, address);
}

function metadataOf({ accessToken }: CallOptions): Metadata {
  const metadata = new Metadata();
  if (accessToken !== undefined) metadata.set('authorization', `Bearer ${accessToken}`);
  return metadata;
}
