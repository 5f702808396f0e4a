import type { ServiceName } from '@lethe/proto/access.ts';
import type { MethodDefinition, Peer } from '@lethe/platform/grpc/handler.ts';
import type { InProcessNetwork } from '@lethe/platform/grpc/in-process.ts';

/** Where a call between services can be held: on its way there, or on its way back. */
export type GatePoint = 'request' | 'response';

/** Holds calls between services, so that a test decides who comes first. */
export interface Gates {
  /** From now on calls of `caller` to the method wait at the point until the answer of this call is opened. */
  hold(caller: ServiceName, methodName: string, point: GatePoint): Hold;
  /** The network with the gates in it. */
  readonly network: InProcessNetwork;
}

export interface Hold {
  /** Resolves when the first call stands at the gate. */
  readonly reached: Promise<void>;
  /** Lets through what waits and what comes. */
  open(): void;
}

interface StandingHold {
  readonly name: string;
  readonly reach: () => void;
  readonly opened: Promise<void>;
}

export function createGates(network: InProcessNetwork): Gates {
  const holds = new Set<StandingHold>();
  const pass = async (name: string): Promise<void> => {
    for (const hold of holds) {
      if (hold.name !== name) continue;
      hold.reach();
      await hold.opened;
    }
  };
  return {
    hold: (caller, methodName, point) => {
      const reached = Promise.withResolvers<void>();
      const opened = Promise.withResolvers<void>();
      const hold = {
        name: `${caller} ${methodName} ${point}`,
        reach: reached.resolve,
        opened: opened.promise,
      };
      holds.add(hold);
      return {
        reached: reached.promise,
        open: () => {
          holds.delete(hold);
          opened.resolve();
        },
      };
    },
    network: {
      register: (service, registrations) => network.register(service, registrations),
      peersFor: (caller) => (service) => gatedPeer(network.peersFor(caller)(service), caller, pass),
    },
  };
}

function gatedPeer(peer: Peer, caller: ServiceName, pass: (name: string) => Promise<void>): Peer {
  return {
    unary: async <Request, Response>(
      method: MethodDefinition<Request, Response>,
      request: Request,
      options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number },
    ): Promise<Response> => {
      const name = `${caller} ${method.path.split('/').at(-1) ?? ''}`;
      await pass(`${name} request`);
      // A held call must not time out: the test decides how long it takes.
      const untimed = options?.signal === undefined ? {} : { signal: options.signal };
      const response = await peer.unary(method, request, untimed);
      await pass(`${name} response`);
      return response;
    },
    serverStream: (method, request, options) => peer.serverStream(method, request, options),
  };
}
