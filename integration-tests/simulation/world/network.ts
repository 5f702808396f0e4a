import { authorize } from '@lethe/platform/auth/authorize.ts';
import { reasonOf } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type {
  CallContext,
  Caller,
  MethodDefinition,
  Peers,
  RegisteredMethod,
  ServiceRegistration,
} from '@lethe/platform/grpc/handler.ts';
import { joinSignals } from '@lethe/platform/lifecycle/joined-signal.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { SimulatedProcess } from '../core/simulated-process.ts';
import type { Random } from '../core/random.ts';
import type { Scheduler } from '../core/scheduler.ts';

/** What befalls a call. */
export type CallFate = 'answered' | 'request-lost' | 'answer-lost';

export interface NetworkFaults {
  callFate(from: SimulatedProcess, to: ServiceName, method: string): CallFate;
}

export interface SimulatedNetwork {
  /** The process serves these until it dies. */
  serve(
    process: SimulatedProcess,
    service: ServiceName,
    apis: readonly ServiceRegistration[],
  ): void;
  peersFor(process: SimulatedProcess, service: ServiceName): Peers;
  /** A call of whoever `caller` is, on any instance of the service. */
  call<Request, Response>(
    from: SimulatedProcess,
    to: ServiceName,
    caller: Caller,
    definition: MethodDefinition<Request, Response>,
    request: Request,
    options?: CallOptions,
  ): Promise<Response>;
}

interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

interface Server {
  readonly process: SimulatedProcess;
  readonly methods: ReadonlyMap<string, RegisteredMethod>;
}

interface NetworkPorts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: NetworkFaults;
}

const noTimeoutMs = 60_000;

/**
 * Calls between processes: a call arrives, is served and answered in steps of its own, and is lost or refused on the
 * way. Messages are encoded as on the wire. A call to a process that dies ends with STORE_UNAVAILABLE.
 */
export function createSimulatedNetwork(ports: NetworkPorts): SimulatedNetwork {
  const servers = new Map<ServiceName, Server[]>();
  const find: Find = (to, path, kind) => {
    const found = servers.get(to) ?? [];
    if (found.length === 0) throw unreachable(`${to} is not running`);
    const server = ports.random.pick(found);
    const method = server.methods.get(path);
    if (method === undefined || method.kind !== kind) throw new ServiceError('METHOD_NOT_LISTED');
    return { server, method };
  };
  const call: SimulatedNetwork['call'] = async (from, to, caller, definition, request, options) =>
    unary(ports, find, { from, to, caller }, definition, request, options ?? {});
  return {
    serve: (process, service, apis) => {
      const methods = apis.flatMap((api) => api.methods);
      const server = {
        process,
        methods: new Map(methods.map((method) => [method.definition.path, method])),
      };
      servers.set(service, [...(servers.get(service) ?? []), server]);
      process.onDeath(() => {
        const left = servers.get(service) ?? [];
        servers.set(
          service,
          left.filter((each) => each !== server),
        );
      });
    },
    peersFor: (process, service) => {
      const caller: Caller = { kind: 'service', service };
      return (to) => ({
        unary: async (definition, request, options) =>
          call(process, to, caller, definition, request, options),
        serverStream: (definition, request, options) =>
          stream(ports, find, { from: process, to, caller }, definition, request, options?.signal),
      });
    },
    call,
  };
}

/** Who asks whom. */
interface Route {
  readonly from: SimulatedProcess;
  readonly to: ServiceName;
  readonly caller: Caller;
}

type Outcome = { readonly value: Buffer } | { readonly error: unknown };

async function unary<Request, Response>(
  { scheduler, faults }: NetworkPorts,
  find: Find,
  { from, to, caller }: Route,
  definition: MethodDefinition<Request, Response>,
  request: Request,
  options: CallOptions,
): Promise<Response> {
  const name = definition.path.split('/').at(-1) ?? '';
  const sent = definition.requestSerialize(request);
  const { server, method, fate } = await scheduler.gate({
    process: from,
    label: `call ${to} ${name}`,
    run: () => {
      const drawn = faults.callFate(from, to, name);
      if (drawn === 'request-lost') throw unreachable(`a call of ${name} was lost`);
      authorize(definition.path, caller);
      return { ...find(to, definition.path, 'unary'), fate: drawn };
    },
  });
  if (method.kind !== 'unary') throw new RangeError(`${definition.path} is not unary`);
  const ending = new AbortController();
  const joined = joinSignals(options.signal, ending.signal);
  const context: CallContext = { caller, signal: joined.signal };
  const served = async (): Promise<Buffer> => {
    const answer = await scheduler.gate({
      process: server.process,
      label: `serve ${name}`,
      run: () => ({ promise: method.handler(definition.requestDeserialize(sent), context) }),
    });
    return definition.responseSerialize((await answer.promise) as never);
  };
  const outcome = await settled(scheduler, from, server.process, served(), options, ending);
  joined.release();
  return scheduler.gate({
    process: from,
    label: `answer ${to} ${name}`,
    run: () => {
      if (fate === 'answer-lost') throw unreachable(`the answer to ${name} was lost`);
      if ('error' in outcome) throw typedError(outcome.error);
      return definition.responseDeserialize(outcome.value);
    },
  });
}

/** The outcome of what a server does, its death, the caller's patience or the caller's own end. */
async function settled(
  scheduler: Scheduler,
  from: SimulatedProcess,
  server: SimulatedProcess,
  work: Promise<Buffer>,
  options: CallOptions,
  ending: AbortController,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const finish = (outcome: Outcome): void => {
      resolve(outcome);
      ending.abort();
    };
    work.then(
      (value) => finish({ value }),
      (error: unknown) => finish({ error }),
    );
    server.onDeath(() => finish({ error: unreachable('the connection broke') }));
    const patience = joinSignals(options.signal, ending.signal);
    const asleep = scheduler.sleep(from, options.timeoutMs ?? noTimeoutMs, patience.signal);
    void asleep.finally(patience.release).then(
      () => finish({ error: unreachable('no answer in time') }),
      () => finish({ error: unreachable('the caller gave up') }),
    );
  });
}

type Find = (
  to: ServiceName,
  path: string,
  kind: RegisteredMethod['kind'],
) => { readonly server: Server; readonly method: RegisteredMethod };

async function* stream<Request, Response>(
  { scheduler, faults }: NetworkPorts,
  find: Find,
  { from, to, caller }: Route,
  definition: MethodDefinition<Request, Response>,
  request: Request,
  signal: AbortSignal | undefined,
): AsyncGenerator<Response> {
  const name = definition.path.split('/').at(-1) ?? '';
  const { server, method } = await scheduler.gate({
    process: from,
    label: `open ${to} ${name}`,
    run: () => {
      if (faults.callFate(from, to, name) !== 'answered') throw unreachable('lost');
      authorize(definition.path, caller);
      return find(to, definition.path, 'serverStream');
    },
  });
  if (method.kind !== 'serverStream') throw new RangeError(`${definition.path} is no stream`);
  const ending = new AbortController();
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  server.process.onDeath(() => broken.reject(unreachable('the stream broke')));
  from.onDeath(() => ending.abort());
  const joined = joinSignals(signal, ending.signal);
  const context: CallContext = { caller, signal: joined.signal };
  const sent = definition.requestDeserialize(definition.requestSerialize(request));
  const messages = method.handler(sent, context)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([messages.next(), broken.promise]);
      if (next.done === true) return;
      const bytes = definition.responseSerialize(next.value as Response);
      yield await scheduler.gate({
        process: from,
        label: `message ${to} ${name}`,
        mayRun: () => scheduler.nowMs() >= from.deafUntilMs,
        run: () => definition.responseDeserialize(bytes),
      });
    }
  } catch (error) {
    throw typedError(error);
  } finally {
    ending.abort();
    joined.release();
  }
}

function unreachable(what: string): ServiceError {
  return new ServiceError('STORE_UNAVAILABLE', what);
}

function typedError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  return new ServiceError(reasonOf(error), undefined, { cause: error });
}
