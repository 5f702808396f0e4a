import {
  Server,
  ServerCredentials,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type MethodDefinition as GrpcMethod,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { authorize } from '../auth/authorize.ts';
import { placeOf, reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { parseTraceparent, type TraceContext } from '../telemetry/trace-context.ts';
import { callerOfCertificate, type VerifiedPeer } from './caller-certificate.ts';
import type {
  CallContext,
  Caller,
  MethodDefinition,
  RegisteredMethod,
  ServiceRegistration,
} from './handler.ts';
import {
  type Admission,
  type CallGate,
  createCallGate,
  internalLimits,
  publicLimits,
  type ServerLimits,
  transportOptionsOf,
} from './limits.ts';
import { grpcErrorOf } from './status-details.ts';
import { type Answering, cancellationOf, createStreamEnd, cutWhenUnread } from './stream-end.ts';
import { decodeAll, decodeRequest, writeAll } from './stream-messages.ts';

/** Largest message that a service takes of another, bytes. */
export const { messageBytesMax } = internalLimits;

export interface GrpcServerOptions {
  readonly registrations: readonly ServiceRegistration[];
  readonly callers: Callers;
  readonly logger: Logger;
  /** Fires when the server begins to stop: streams that would never end by themselves are ended then. */
  readonly stopping?: AbortSignal;
  /** Default: those of a public port, or of an internal one where callers are known by certificate. */
  readonly limits?: ServerLimits;
  /** For the end of streams whose token expires; default the machine's. */
  readonly clock?: Clock;
}

/** What all calls of a server share. */
interface Serving extends GrpcServerOptions {
  readonly limits: ServerLimits;
  readonly gate: CallGate;
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
  const limits = options.limits ?? (options.callers.by === 'token' ? publicLimits : internalLimits);
  const serving: Serving = { ...options, limits, gate: createCallGate(limits) };
  const server = new Server(transportOptionsOf(limits));
  for (const registration of options.registrations) {
    const definition: Record<string, GrpcMethod<Buffer, Buffer>> = {};
    const implementation: Record<string, UntypedHandleCall> = {};
    for (const method of registration.methods) {
      const { path } = method.definition;
      definition[path] = rawDefinition(method.definition);
      implementation[path] = grpcHandler(method, serving);
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

function grpcHandler(method: RegisteredMethod, serving: Serving): UntypedHandleCall {
  switch (method.kind) {
    case 'unary':
      return unaryHandler(method, serving);
    case 'serverStream':
      return serverStreamHandler(method, serving);
    case 'bidi':
      return bidiHandler(method, serving);
  }
}

type MethodOf<Kind> = Extract<RegisteredMethod, { kind: Kind }>;

function unaryHandler(
  method: MethodOf<'unary'>,
  serving: Serving,
): handleUnaryCall<Buffer, Buffer> {
  return (call, respond) => {
    const answer = async () =>
      await admitted(serving, async (admission) => {
        const context = await contextOf(method, call, cancellationOf(call), serving, admission);
        const request = decodeRequest(method, call.request);
        return method.definition.responseSerialize(await method.handler(request, context));
      });
    answer().then(
      (response) => respond(null, response),
      (error: unknown) => respond(toGrpcError(error, method, serving)),
    );
  };
}

function serverStreamHandler(
  method: MethodOf<'serverStream'>,
  serving: Serving,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const answers = (context: CallContext) =>
      method.handler(decodeRequest(method, call.request), context);
    answerStream(method, call, answers, serving);
  };
}

function bidiHandler(
  method: MethodOf<'bidi'>,
  serving: Serving,
): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    const answers = (context: CallContext) =>
      method.handler(decodeAll(method, call, context.signal), context);
    answerStream(method, call, answers, serving);
  };
}

function answerStream(
  method: RegisteredMethod,
  call: Answering,
  answersTo: (context: CallContext) => AsyncIterable<unknown>,
  serving: Serving,
): void {
  const { stopping, clock = systemClock, limits } = serving;
  const answer = async () => {
    const end = createStreamEnd(call, stopping, clock);
    try {
      await admitted(serving, async (admission) => {
        const context = await contextOf(method, call, end.signal, serving, admission);
        end.atExpiry(expiryOf(context.caller));
        await writeAll(method, call, answersTo(context), end.signal, limits.slowReaderMs);
      });
      end.throwIfOurs();
    } finally {
      end.clear();
    }
  };
  answer()
    .then(
      () => call.end(),
      (error: unknown) => {
        if (!call.cancelled) call.emit('error', toGrpcError(error, method, serving));
      },
    )
    .finally(() => cutWhenUnread(call, limits.slowReaderMs))
    .catch((error: unknown) => toGrpcError(error, method, serving));
}

/** Runs a call in its place among those that the server takes. Throws TOO_MANY_CALLS. */
async function admitted<Result>(
  { gate }: Serving,
  run: (admission: Admission) => Promise<Result>,
): Promise<Result> {
  const admission = gate.enter();
  try {
    return await run(admission);
  } finally {
    admission.leave();
  }
}

interface IncomingCall {
  readonly metadata: Metadata;
  getAuthContext(): VerifiedPeer;
}

async function contextOf(
  method: RegisteredMethod,
  call: IncomingCall,
  signal: AbortSignal,
  { callers, limits }: Serving,
  admission: Admission,
): Promise<CallContext> {
  if (sizeOf(call.metadata) > limits.metadataBytesMax) {
    const rule = `The metadata of a call has at most ${limits.metadataBytesMax} bytes.`;
    throw new ServiceError('METADATA_TOO_LARGE', rule);
  }
  const caller =
    callers.by === 'token'
      ? await callerOfToken(call.metadata, callers.verifyToken)
      : callerOfCertificate(call.getAuthContext(), callers.clock.nowMs());
  admission.belongsTo(caller);
  authorize(method.definition.path, caller);
  if (caller.kind !== 'service') return { caller, signal };
  return { caller, signal, traceContext: traceContextOf(call.metadata) };
}

function traceContextOf(metadata: Metadata): TraceContext | undefined {
  const [traceparent] = metadata.get('traceparent');
  return typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined;
}

function sizeOf(metadata: Metadata): number {
  const entries = Object.entries(metadata.toHttp2Headers());
  return entries.reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
}

function expiryOf(caller: Caller): number | undefined {
  return caller.kind === 'tenant' || caller.kind === 'platform' ? caller.expiresAtMs : undefined;
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
