import type {
  BidiHandler,
  MethodDefinition,
  RegisteredMethod,
  ServerStreamHandler,
  ServiceRegistration,
  UnaryHandler,
} from './handler.ts';

/** A ts-proto service definition (outputServices=grpc-js): method name to method definition. */
export type ServiceDefinition = Readonly<Record<string, GeneratedMethod>>;

interface GeneratedMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer R } ? R : never;
type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer R } ? R : never;

type HandlerOf<M> = M extends { requestStream: true; responseStream: true }
  ? BidiHandler<RequestOf<M>, ResponseOf<M>>
  : M extends { requestStream: false; responseStream: true }
    ? ServerStreamHandler<RequestOf<M>, ResponseOf<M>>
    : M extends { requestStream: false; responseStream: false }
      ? UnaryHandler<RequestOf<M>, ResponseOf<M>>
      : never;

/** A handler for every method of the service, of the kind the proto says. */
export type Handlers<Definition> = {
  readonly [Name in keyof Definition]: HandlerOf<Definition[Name]>;
};

/**
 * Pairs a generated service definition with its handlers. The types hold that every method has one of the right
 * kind; a client-stream method (request stream, single answer) has no kind and does not compile.
 */
export function registerService<Definition extends ServiceDefinition>(
  definition: Definition,
  handlers: Handlers<Definition>,
): ServiceRegistration {
  const methods = Object.entries(definition).map(([name, method]) =>
    registeredMethod(method, handlers[name]),
  );
  const first = methods[0];
  if (first === undefined) throw new RangeError('a gRPC service has at least one method');
  const serviceName = first.definition.path.split('/')[1] ?? '';
  return { serviceName, methods };
}

// The one place where the pair's types are forgotten: Handlers<Definition> has checked them for the caller above.
function registeredMethod(method: GeneratedMethod, handler: unknown): RegisteredMethod {
  const definition = method as unknown as MethodDefinition<unknown, unknown>;
  if (!method.responseStream) {
    return { kind: 'unary', definition, handler: handler as UnaryHandler<unknown, unknown> };
  }
  return method.requestStream
    ? { kind: 'bidi', definition, handler: handler as BidiHandler<unknown, unknown> }
    : {
        kind: 'serverStream',
        definition,
        handler: handler as ServerStreamHandler<unknown, unknown>,
      };
}
