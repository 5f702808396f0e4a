import { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { listenPlaintext, stopGrpcServer } from '@lethe/platform/grpc/server.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import type { ServiceName } from '@lethe/proto/access.ts';

export interface HealthServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** How long a problem may go unnoticed by a health probe. */
const refreshMs = 1_000;

/**
 * grpc.health.v1 on a port of its own: each service by its name ("tickets"), and all of them together as "".
 */
export async function serveHealth(
  services: ReadonlyMap<ServiceName, Service>,
  systemsProblem: () => string | undefined,
  host: string,
  port: number,
): Promise<HealthServer> {
  const health = new HealthImplementation();
  const refresh = () => {
    let healthy = systemsProblem() === undefined;
    for (const [name, service] of services) {
      const serving = service.problem() === undefined;
      healthy &&= serving;
      health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    }
    health.setStatus('', healthy ? 'SERVING' : 'NOT_SERVING');
  };
  refresh();
  const server = new Server();
  health.addToServer(server);
  const taken = await listenPlaintext(server, host, port);
  const timer = setInterval(refresh, refreshMs);
  return {
    port: taken,
    stop: async () => {
      clearInterval(timer);
      await stopGrpcServer(server, 0);
    },
  };
}
