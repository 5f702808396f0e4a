import {
  Client,
  credentials,
  Metadata,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, Status } from '@lethe/proto/gen/google/rpc/error_details.ts';

/** The parts of a generated method definition that a call needs. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A call that ended with an error, with the standard details taken apart. */
export class CallFailure extends Error {
  override readonly name = 'CallFailure';
  /** gRPC's canonical name. */
  readonly code: string;
  /** `ErrorInfo.reason`; empty when there is none. */
  readonly reason: string;
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  constructor(error: ServiceError) {
    super(error.details, { cause: error });
    this.code = status[error.code];
    const trailer = error.metadata?.get('grpc-status-details-bin')[0];
    const { details } = Buffer.isBuffer(trailer) ? Status.decode(trailer) : { details: [] };
    const bytesOf = (name: string) =>
      details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${name}`)?.value ??
      new Uint8Array();
    this.reason = ErrorInfo.decode(bytesOf('ErrorInfo')).reason;
    this.violations = BadRequest.decode(bytesOf('BadRequest')).fieldViolations;
  }
}

/** An open stream in both directions. */
export interface Exchange<Request, Response> {
  /** Sends a message and waits for its acknowledgement. */
  ask(request: Request): Promise<Response>;
  /** Sends a message and waits for nothing. */
  send(request: Request): void;
  /** Says that nothing more comes, and waits for the server's end; throws CallFailure. */
  finish(): Promise<void>;
  /** Cuts the stream in the middle. */
  cut(): void;
}

/** Calls of one server over one connection. */
export interface Api {
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    token?: string,
  ): Promise<Response>;
  /** The same with bytes that may be anything. */
  unaryBytes(path: string, bytes: Buffer, token?: string): Promise<Buffer>;
  exchange<Request, Response>(
    method: Method<Request, Response>,
    token: string,
  ): Exchange<Request, Response>;
  close(): void;
}

/** Of one call; a machine with much else to do takes long. */
const usualTimeoutMs = 30_000;

export function openApi(address: string, callTimeoutMs = usualTimeoutMs): Api {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  const unary: Api['unary'] = async (method, request, token) =>
    await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadataOf(token),
        { deadline: Date.now() + callTimeoutMs },
        (error, response) => {
          if (error !== null) reject(new CallFailure(error));
          else if (response === undefined) reject(new Error(`${method.path} answered nothing`));
          else resolve(response);
        },
      );
    });
  return {
    unary,
    unaryBytes: async (path, bytes, token) =>
      await unary({ path, requestSerialize: same, responseDeserialize: same }, bytes, token),
    exchange: (method, token) =>
      exchangeOver(
        client.makeBidiStreamRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          metadataOf(token),
          { deadline: Date.now() + callTimeoutMs },
        ),
      ),
    close: () => client.close(),
  };
}

const same = (bytes: Buffer): Buffer => bytes;

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function exchangeOver<Request, Response>(
  stream: ClientDuplexStream<Request, Response>,
): Exchange<Request, Response> {
  let failure: ServiceError | undefined;
  stream.on('error', (error: ServiceError) => (failure = error));
  const responses = (stream as AsyncIterable<Response>)[Symbol.asyncIterator]();
  const next = async (): Promise<IteratorResult<Response>> => {
    try {
      const result = await responses.next();
      if (failure !== undefined) throw failure;
      return result;
    } catch {
      throw failure === undefined ? new Error('the stream broke') : new CallFailure(failure);
    }
  };
  return {
    ask: async (request) => {
      stream.write(request);
      const result = await next();
      if (result.done === true) throw new Error('the stream ended without an answer');
      return result.value;
    },
    send: (request) => {
      stream.write(request);
    },
    finish: async () => {
      stream.end();
      for (let result = await next(); result.done !== true; result = await next());
    },
    cut: () => stream.cancel(),
  };
}
