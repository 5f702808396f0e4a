import type { ServiceName } from '@lethe/proto/access.ts';
import { authorize } from '../auth/authorize.ts';
import { reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';
import type {
  CallContext,
  MethodDefinition,
  Peer,
  Peers,
  RegisteredMethod,
  ServiceRegistration,
} from './handler.ts';

export interface InProcessNetwork {
  /** Makes a service's internal API callable by its peers; once per service. */
  register(service: ServiceName, registrations: readonly ServiceRegistration[]): void;
  /** The peers of one caller; the access table is held against this name as it is against a certificate. */
  peersFor(caller: ServiceName): Peers;
}

/**
 * Calls between services of one process, without a socket that anybody could connect to. Messages are encoded and
 * decoded as on the wire, so that neither side shares an object with the other or leans on a field that is not sent.
 */
export function createInProcessNetwork(): InProcessNetwork {
  const methodsOf = new Map<ServiceName, ReadonlyMap<string, RegisteredMethod>>();
  return {
    register: (service, registrations) => {
      if (methodsOf.has(service)) throw new RangeError(`${service} is registered already`);
      const methods = registrations.flatMap((registration) => registration.methods);
      methodsOf.set(service, new Map(methods.map((method) => [method.definition.path, method])));
    },
    peersFor: (caller) => (service) => createPeer(caller, service, () => methodsOf.get(service)),
  };
}

function createPeer(
  caller: ServiceName,
  service: ServiceName,
  methods: () => ReadonlyMap<string, RegisteredMethod> | undefined,
): Peer {
  const find = <Request, Response>(definition: MethodDefinition<Request, Response>) => {
    const served = methods();
    if (served === undefined) {
      throw new ServiceError('SERVICE_UNAVAILABLE', `The service ${service} is not running yet.`);
    }
    authorize(definition.path, { kind: 'service', service: caller });
    const method = served.get(definition.path);
    if (method === undefined) throw new ServiceError('METHOD_NOT_LISTED');
    return method;
  };
  const contextOf = (signal: AbortSignal): CallContext => ({
    caller: { kind: 'service', service: caller },
    signal,
  });
  return {
    unary: async (definition, request, options = {}) => {
      const method = find(definition);
      if (method.kind !== 'unary') throw new RangeError(`${definition.path} is not unary`);
      const timeout =
        options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
      const joined = joinSignals(options.signal, timeout);
      try {
        const call = contextOf(joined.signal);
        const response = await method.handler(copyRequest(definition, request), call);
        return copyResponse(definition, response);
      } catch (error) {
        if (options.signal?.aborted !== true && timeout?.aborted === true) {
          const message = `The service ${service} did not answer in time.`;
          throw new ServiceError('CALL_TIMED_OUT', message, { cause: error });
        }
        throw typedError(error, options.signal);
      } finally {
        joined.release();
      }
    },
    serverStream: async function* (definition, request, options = {}) {
      const method = find(definition);
      if (method.kind !== 'serverStream') throw new RangeError(`${definition.path} is no stream`);
      const joined = joinSignals(options.signal);
      const call = contextOf(joined.signal);
      try {
        for await (const response of method.handler(copyRequest(definition, request), call)) {
          yield copyResponse(definition, response);
        }
        options.signal?.throwIfAborted();
      } catch (error) {
        throw typedError(error, options.signal);
      } finally {
        joined.release();
      }
    },
  };
}

/** As on the wire: an error of the other side's database must not be taken for one of the caller's own. */
function typedError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof ServiceError) return error;
  return new ServiceError(reasonOf(error), undefined, { cause: error });
}

function copyRequest<Request, Response>(
  definition: MethodDefinition<Request, Response>,
  request: Request,
): Request {
  return definition.requestDeserialize(definition.requestSerialize(request));
}

// The registered handler answers what its proto says; the encoder turns it into the caller's copy.
function copyResponse<Request, Response>(
  definition: MethodDefinition<Request, Response>,
  response: unknown,
): Response {
  return definition.responseDeserialize(definition.responseSerialize(response as Response));
}
