import {
  Server,
  ServerCredentials,
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
import { placeOf, reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { callerOfCertificate, type VerifiedPeer } from './caller-certificate.ts';
import type {
  CallContext,
  Caller,
  MethodDefinition,
  RegisteredMethod,
  ServiceRegistration,
} from './handler.ts';
import { grpcErrorOf } from './status-details.ts';
import { decodeAll, decodeRequest, writeAll } from './stream-messages.ts';

/** Largest message taken, bytes; a larger one is RESOURCE_EXHAUSTED by the transport. */
export const messageBytesMax = 8 * 1024 * 1024;

export interface GrpcServerOptions {
  readonly registrations: readonly ServiceRegistration[];
  readonly callers: Callers;
  readonly logger: Logger;
  /** Fires when the server begins to stop: streams that would never end by themselves are ended then. */
  readonly stopping?: AbortSignal;
}

/** How a port knows its callers: one way alone, so that a token proves nothing inside and a certificate nothing outside. */
export type Callers =
  /** By access token; see auth/access-token.ts. */
  | { readonly by: 'token'; readonly verifyToken: (token: string) => Promise<Caller> }
  /** By the certificate of the connection. */
  | { readonly by: 'certificate'; readonly clock: Clock };

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
  return await listen(server, host, port, ServerCredentials.createInsecure());
}

/** Throws PORT_IN_USE; answers the port taken, which is another where 0 was asked for. */
export async function listen(
  server: Server,
  host: string,
  port: number,
  credentials: ServerCredentials,
): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.bindAsync(
      `${host.includes(':') ? `[${host}]` : host}:${port}`,
      credentials,
      (error, taken) => {
        if (error === null) resolve(taken);
        else {
          const message = `Cannot listen on ${host}:${port}; stop the other process or choose another port.`;
          reject(new ServiceError('PORT_IN_USE', message, { cause: error }));
        }
      },
    );
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
      const context = await contextOf(method, call, cancellationOf(call), options);
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
      const signal = endOf(call, options);
      const context = await contextOf(method, call, signal, options);
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
      const signal = endOf(call, options);
      const context = await contextOf(method, call, signal, options);
      const requests = decodeAll(method, call, signal);
      await writeAll(method, call, method.handler(requests, context), signal);
    };
    finishStream(answer(), call, method, options);
  };
}

function finishStream(
  answer: Promise<void>,
  call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  method: RegisteredMethod,
  options: GrpcServerOptions,
): void {
  answer.then(
    () => {
      // What a stream had left to say is not known to be nothing: its caller is to ask another instance.
      if (options.stopping?.aborted !== true) call.end();
      else if (!call.cancelled) {
        call.emit('error', toGrpcError(new ServiceError('SHUTTING_DOWN'), method, options));
      }
    },
    (error: unknown) => {
      if (!call.cancelled) call.emit('error', toGrpcError(error, method, options));
    },
  );
}

interface IncomingCall {
  readonly metadata: Metadata;
  getAuthContext(): VerifiedPeer;
}

async function contextOf(
  method: RegisteredMethod,
  call: IncomingCall,
  signal: AbortSignal,
  { callers }: GrpcServerOptions,
): Promise<CallContext> {
  const caller =
    callers.by === 'token'
      ? await callerOfToken(call.metadata, callers.verifyToken)
      : callerOfCertificate(call.getAuthContext(), callers.clock.nowMs());
  authorize(method.definition.path, caller);
  return { caller, signal };
}

async function callerOfToken(
  metadata: Metadata,
  verifyToken: (token: string) => Promise<Caller>,
): Promise<Caller> {
  const header = metadata.get('authorization')[0];
  if (typeof header !== 'string') return { kind: 'anonymous' };
  const [scheme, token, ...rest] = header.split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || token === undefined || rest.length > 0) {
    throw new ServiceError('TOKEN_INVALID', 'The authorization metadata is not "Bearer <token>".');
  }
  return await verifyToken(token);
}

function cancellationOf(call: {
  on(event: 'cancelled', listener: () => void): unknown;
}): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  return controller.signal;
}

/** Of a stream: its caller's end, or ours. */
function endOf(
  call: { on(event: 'cancelled', listener: () => void): unknown },
  { stopping }: GrpcServerOptions,
): AbortSignal {
  const cancelled = cancellationOf(call);
  return stopping === undefined ? cancelled : AbortSignal.any([cancelled, stopping]);
}

function toGrpcError(error: unknown, method: RegisteredMethod, options: GrpcServerOptions) {
  if (error instanceof ServiceError) {
    return Object.assign(new Error(error.message), grpcErrorOf(error));
  }
  // What is not ours may quote values: the caller gets the rule, the log gets the place and nothing of the message.
  const problem = placeOf(error);
  options.logger.error({ method: method.definition.path, problem }, 'unexpected error');
  const typed = new ServiceError(reasonOf(error), undefined, { cause: error });
  return Object.assign(new Error(typed.message), grpcErrorOf(typed));
}
