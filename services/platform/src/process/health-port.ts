import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { ServiceError } from '../errors/service-error.ts';
import type { TlsSource } from '../tls/tls-source.ts';
import type { PortConfig } from './process-config.ts';

/** What a process says of itself. */
export interface HealthReport {
  readonly phase: 'starting' | 'serving' | 'stopping';
  /** What it waits for while it starts. */
  readonly waitsFor: string | undefined;
  /** What is wrong while it serves; it serves on. */
  readonly problems: readonly string[];
}

export interface HealthPort {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * What Kubernetes and the like ask: `/live` (the process turns), `/ready` (calls may come), `/problems` (what somebody
 * should look at). A problem does not make a service unready: one that is cut off because another is away would take
 * those that need it along, until nothing answers. Throws PORT_IN_USE.
 */
export async function openHealthPort(
  { host, port }: PortConfig,
  tls: TlsSource | undefined,
  report: () => HealthReport,
): Promise<HealthPort> {
  const answer = answering(report);
  const server = tls === undefined ? createHttpServer(answer) : createHttpsServer(answer);
  const endOfWatch = tls?.onChange(() => setContext());
  const setContext = () => {
    if (tls === undefined || !('setSecureContext' in server)) return;
    const { certificate, privateKey } = tls.current();
    server.setSecureContext({ cert: certificate, key: privateKey, minVersion: 'TLSv1.2' });
  };
  setContext();
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(port, host, () => listening.resolve());
  try {
    await listening.promise;
  } catch (cause) {
    const message = `Cannot listen on ${host}:${port}; stop the other process or choose another port.`;
    throw new ServiceError('PORT_IN_USE', message, { cause });
  }
  const bound = server.address();
  return {
    port: bound === null || typeof bound === 'string' ? port : bound.port,
    stop: async () => {
      endOfWatch?.();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answering(report: () => HealthReport): RequestListener {
  return (request, response) => {
    const said = report();
    // Not as a URL: what is none would throw here, where nothing but the end of the process hears of it.
    const [pathname = ''] = (request.url ?? '').split('?');
    const isWell = new Map([
      ['/live', true],
      ['/ready', said.phase === 'serving'],
      ['/problems', said.problems.length === 0],
    ]).get(pathname);
    response.setHeader('content-type', 'application/json');
    response.statusCode = isWell === undefined ? 404 : isWell ? 200 : 503;
    response.end(`${JSON.stringify(isWell === undefined ? {} : said)}\n`);
  };
}
