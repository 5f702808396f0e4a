import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { ServiceName } from '@lethe/proto/access.ts';
import { createAccessTokenVerifier } from '../auth/access-token.ts';
import { openTokenKeys } from '../auth/token-keys.ts';
import { ReloadingServerCredentials } from '../grpc/server-credentials.ts';
import {
  type Callers,
  createGrpcServer,
  listen,
  listenPlaintext,
  stopGrpcServer,
} from '../grpc/server.ts';
import type { ServiceRegistration } from '../grpc/handler.ts';
import { internalLimits, type ServerLimits } from '../grpc/limits.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import type { Logger } from '../log/logger.ts';
import type { TlsSource } from '../tls/tls-source.ts';
import type { PortConfig, PublicPortConfig } from './process-config.ts';

export interface ServicePortsOptions {
  readonly name: ServiceName;
  readonly service: Service;
  readonly internal: PortConfig;
  readonly internalTls: TlsSource;
  readonly publicPort: PublicPortConfig | undefined;
  /** Undefined: plaintext. */
  readonly publicTls: TlsSource | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The ports at which a service is called. */
export interface ServicePorts {
  readonly internalPort: number;
  readonly publicPort: number | undefined;
  /** Says by grpc.health.v1 that no calls should come, and goes on serving those that do. */
  unready(): void;
  /** Refuses new calls, ends what would never end by itself, lets the rest finish for `graceMs`, then cuts it. */
  drain(graceMs: number): Promise<void>;
}

/** How long a problem may go unnoticed by who asks grpc.health.v1. */
const refreshMs = 1_000;

/**
 * Both say of themselves by grpc.health.v1: "" while calls may come, the service's name while it has no problem either.
 * Throws PORT_IN_USE, and CONFIG_INVALID for a wrong file of the issuer's keys.
 */
export async function openServicePorts(options: ServicePortsOptions): Promise<ServicePorts> {
  const { service, internal, internalTls, publicPort, publicTls, clock, logger } = options;
  const stopping = new AbortController();
  const health = createHealth(options);
  const serverOf = (
    registrations: readonly ServiceRegistration[],
    callers: Callers,
    limits: ServerLimits,
  ): Server => {
    const { signal } = stopping;
    const server = createGrpcServer({ registrations, callers, logger, stopping: signal, limits });
    health.addTo(server);
    return server;
  };
  const servers: Server[] = [];
  const credentials: ReloadingServerCredentials[] = [];
  const open = async (
    server: Server,
    at: PortConfig,
    tls: TlsSource | undefined,
    asks: boolean,
  ) => {
    servers.push(server);
    if (tls === undefined) return await listenPlaintext(server, at.host, at.port);
    const made = new ReloadingServerCredentials(tls, asks);
    credentials.push(made);
    return await listen(server, at.host, at.port, made);
  };
  const unready = () => health.stop();
  const drain = async (graceMs: number) => {
    unready();
    stopping.abort();
    await Promise.all(servers.map(async (server) => await stopGrpcServer(server, graceMs)));
    for (const each of credentials) each.close();
  };
  try {
    const inside = serverOf(service.internalApi, { by: 'certificate', clock }, internalLimits);
    const internalTaken = await open(inside, internal, internalTls, true);
    if (publicPort === undefined)
      return { internalPort: internalTaken, publicPort: undefined, unready, drain };
    const { issuer, audience, algorithms } = publicPort.tokens;
    const verificationKey = await openTokenKeys(publicPort.tokens, { clock, logger });
    const rules = { issuer, audience, algorithms, verificationKey };
    const verifyToken = createAccessTokenVerifier(rules, clock);
    const outside = serverOf(service.publicApi, { by: 'token', verifyToken }, publicPort.limits);
    const publicTaken = await open(outside, publicPort, publicTls, false);
    return { internalPort: internalTaken, publicPort: publicTaken, unready, drain };
  } catch (error) {
    await drain(0);
    throw error;
  }
}

function createHealth({ name, service }: ServicePortsOptions) {
  const health = new HealthImplementation();
  const refresh = () => {
    health.setStatus('', 'SERVING');
    health.setStatus(name, service.problem() === undefined ? 'SERVING' : 'NOT_SERVING');
  };
  refresh();
  const timer = setInterval(refresh, refreshMs).unref();
  return {
    addTo: (server: Server) => health.addToServer(server),
    stop: () => {
      clearInterval(timer);
      for (const each of ['', name]) health.setStatus(each, 'NOT_SERVING');
    },
  };
}
