import {
  Server,
  ServerCredentials,
  status,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type MethodDefinition as GrpcMethod,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { authorize } from '../auth/authorize.ts';
import { placeOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Logger } from '../log/logger.ts';
import type {
  CallContext,
  Caller,
  MethodDefinition,
  RegisteredMethod,
  ServiceRegistration,
} from './handler.ts';
import { grpcErrorOf } from './status-details.ts';

/** Largest message taken, bytes; a larger one is RESOURCE_EXHAUSTED by the transport. */
export const messageBytesMax = 8 * 1024 * 1024;

export interface GrpcServerOptions {
  readonly registrations: readonly ServiceRegistration[];
  /** Answers who holds an access token; see auth/access-token.ts. */
  readonly verifyToken: (token: string) => Promise<Caller>;
  readonly logger: Logger;
}

/**
 * A grpc-js server over our handlers. Requests stay bytes until the caller is known and allowed: authentication and
 * the access table come before decoding, and malformed protobuf is INVALID_ARGUMENT, not the library's INTERNAL.
 */
export function createGrpcServer(options: GrpcServerOptions): Server {
  const server = new Server({ 'grpc.max_receive_message_length': messageBytesMax });
  for (const registration of options.registrations) {
    const definition: Record<string, GrpcMethod<Buffer, Buffer>> = {};
    const implementation: Record<string, UntypedHandleCall> = {};
    for (const method of registration.methods) {
      const { path } = method.definition;
      definition[path] = rawDefinition(method.definition);
      implementation[path] = grpcHandler(method, options);
    }
    server.addService(definition, implementation);
  }
  return server;
}

/** Listens in plaintext, which is for loopback alone. Throws PORT_IN_USE; answers the port taken. */
export async function listenPlaintext(server: Server, host: string, port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, taken) => {
      if (error === null) resolve(taken);
      else {
        const message = `Cannot listen on ${host}:${port}; stop the other process or choose another port.`;
        reject(new ServiceError('PORT_IN_USE', message, { cause: error }));
      }
    });
  });
}

/** Refuses new calls, lets running ones finish for `graceMs`, then cuts them. */
export async function stopGrpcServer(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function rawDefinition(definition: MethodDefinition<unknown, unknown>): GrpcMethod<Buffer, Buffer> {
  const same = (bytes: Buffer) => bytes;
  return {
    path: definition.path,
    requestStream: definition.requestStream,
    responseStream: definition.responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function grpcHandler(method: RegisteredMethod, options: GrpcServerOptions): UntypedHandleCall {
  switch (method.kind) {
    case 'unary':
      return unaryHandler(method, options);
    case 'serverStream':
      return serverStreamHandler(method, options);
    case 'bidi':
      return bidiHandler(method, options);
  }
}

type MethodOf<Kind> = Extract<RegisteredMethod, { kind: Kind }>;

function unaryHandler(
  method: MethodOf<'unary'>,
  options: GrpcServerOptions,
): handleUnaryCall<Buffer, Buffer> {
  return (call, respond) => {
    const answer = async () => {
      const context = await contextOf(method, call.metadata, cancellationOf(call), options);
      const request = decodeRequest(method, call.request);
      return method.definition.responseSerialize(await method.handler(request, context));
    };
    answer().then(
      (response) => respond(null, response),
      (error: unknown) => respond(toGrpcError(error, method, options)),
    );
  };
}

function serverStreamHandler(
  method: MethodOf<'serverStream'>,
  options: GrpcServerOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const answer = async () => {
      const signal = cancellationOf(call);
      const context = await contextOf(method, call.metadata, signal, options);
      const responses = method.handler(decodeRequest(method, call.request), context);
      await writeAll(method, call, responses, signal);
    };
    finishStream(answer(), call, method, options);
  };
}

function bidiHandler(
  method: MethodOf<'bidi'>,
  options: GrpcServerOptions,
): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    const answer = async () => {
      const signal = cancellationOf(call);
      const context = await contextOf(method, call.metadata, signal, options);
      await writeAll(method, call, method.handler(decodeAll(method, call), context), signal);
    };
    finishStream(answer(), call, method, options);
  };
}

async function* decodeAll(
  method: RegisteredMethod,
  call: ServerDuplexStream<Buffer, Buffer>,
): AsyncIterable<unknown> {
  // A handler that throws leaves this loop early. The call must outlive that: on a destroyed one the status is never
  // written, and the caller waits for ever.
  for await (const bytes of call.iterator({ destroyOnReturn: false })) {
    yield decodeRequest(method, bytes as Buffer);
  }
}

async function writeAll(
  method: RegisteredMethod,
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  responses: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for await (const response of responses) {
    if (signal.aborted) return;
    // A slow reader stops the handler here instead of filling memory.
    if (!call.write(method.definition.responseSerialize(response))) await drained(call, signal);
  }
}

async function drained(
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  signal: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const finish = () => {
      call.off('drain', finish);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    call.once('drain', finish);
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  });
}

function finishStream(
  answer: Promise<void>,
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  method: RegisteredMethod,
  options: GrpcServerOptions,
): void {
  answer.then(
    () => call.end(),
    (error: unknown) => {
      if (!call.cancelled) call.emit('error', toGrpcError(error, method, options));
    },
  );
}

async function contextOf(
  method: RegisteredMethod,
  metadata: Metadata,
  signal: AbortSignal,
  options: GrpcServerOptions,
): Promise<CallContext> {
  const caller = await authenticate(metadata, options);
  authorize(method.definition.path, caller);
  return { caller, signal };
}

async function authenticate(metadata: Metadata, options: GrpcServerOptions): Promise<Caller> {
  const header = metadata.get('authorization')[0];
  if (typeof header !== 'string') return { kind: 'anonymous' };
  const [scheme, token, ...rest] = header.split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || token === undefined || rest.length > 0) {
    throw new ServiceError('TOKEN_INVALID', 'The authorization metadata is not "Bearer <token>".');
  }
  return await options.verifyToken(token);
}

function cancellationOf(call: {
  on(event: 'cancelled', listener: () => void): unknown;
}): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  return controller.signal;
}

function decodeRequest(method: RegisteredMethod, bytes: Buffer): unknown {
  try {
    return method.definition.requestDeserialize(bytes);
  } catch (error) {
    throw new ServiceError('MALFORMED_MESSAGE', undefined, { cause: error });
  }
}

function toGrpcError(error: unknown, method: RegisteredMethod, options: GrpcServerOptions) {
  if (error instanceof ServiceError) {
    return Object.assign(new Error(error.message), grpcErrorOf(error));
  }
  // What is not ours may quote values: the caller gets the rule, the log gets the place and nothing of the message.
  const problem = placeOf(error);
  options.logger.error({ method: method.definition.path, problem }, 'unexpected error');
  const defect = new ServiceError('INTERNAL_DEFECT', undefined, { cause: error });
  return Object.assign(new Error(defect.message), grpcErrorOf(defect), { code: status.INTERNAL });
}
