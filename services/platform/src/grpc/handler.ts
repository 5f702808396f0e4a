import type { Role, ServiceName } from '@lethe/proto/access.ts';
import type { TenantId } from '../ids/ids.ts';
import type { TraceContext } from '../telemetry/trace-context.ts';

/** Who calls, as established before the request was decoded. */
export type Caller =
  | {
      readonly kind: 'tenant';
      readonly tenantId: TenantId;
      readonly subject: string;
      readonly roles: readonly Role[];
      /** Of the access token, milliseconds since 1970; streams end with it. */
      readonly expiresAtMs?: number;
    }
  | {
      readonly kind: 'platform';
      readonly subject: string;
      readonly roles: readonly Role[];
      readonly expiresAtMs?: number;
    }
  | { readonly kind: 'service'; readonly service: ServiceName }
  | { readonly kind: 'anonymous' };

export interface CallContext {
  readonly caller: Caller;
  /** Fires when the caller cancels, its deadline passes or the server stops. */
  readonly signal: AbortSignal;
  /** The span of the service that calls. Nobody else's is taken: it could say something, and have us record. */
  readonly traceContext?: TraceContext | undefined;
  /** Of a stream of messages: what is done about one of them is run by it. Absent where nobody looks at that. */
  readonly aroundMessage?: AroundMessage;
}

export type AroundMessage = <Result>(work: () => Promise<Result>) => Promise<Result>;

export type UnaryHandler<Request, Response> = (
  request: Request,
  call: CallContext,
) => Promise<Response>;

export type ServerStreamHandler<Request, Response> = (
  request: Request,
  call: CallContext,
) => AsyncIterable<Response>;

export type BidiHandler<Request, Response> = (
  requests: AsyncIterable<Request>,
  call: CallContext,
) => AsyncIterable<Response>;

/** The parts of a ts-proto method definition that a call needs. */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/**
 * One gRPC service as this process serves it: made by `registerService` (grpc/register.ts) from a ts-proto service
 * definition and its handlers, which are checked against each other by type.
 */
export interface ServiceRegistration {
  /** Such as "lethe.tickets.v1.TicketService". */
  readonly serviceName: string;
  readonly methods: readonly RegisteredMethod[];
}

export type RegisteredMethod = {
  readonly definition: MethodDefinition<unknown, unknown>;
} & (
  | { readonly kind: 'unary'; readonly handler: UnaryHandler<unknown, unknown> }
  | { readonly kind: 'serverStream'; readonly handler: ServerStreamHandler<unknown, unknown> }
  | { readonly kind: 'bidi'; readonly handler: BidiHandler<unknown, unknown> }
);

/**
 * Another service, however it is reached: over mutual TLS, or inside the standalone process. Errors arrive as
 * ServiceError in both.
 */
export interface Peer {
  unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
  ): Promise<Response>;
  serverStream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<Response>;
}

/** Peers by service name; each service is given those it may call. */
export type Peers = (service: ServiceName) => Peer;
