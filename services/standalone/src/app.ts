import { randomBytes } from 'node:crypto';
import type { JWK } from 'jose';
import { parseConfig as parseAnalyticsConfig } from '@lethe/analytics/config.ts';
import { createAccessTokenVerifier } from '@lethe/platform/auth/access-token.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { createGrpcServer, listenPlaintext, stopGrpcServer } from '@lethe/platform/grpc/server.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { observeProblems, observeProcess } from '@lethe/platform/lifecycle/observe-service.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createUndoStack, type UndoStack } from '@lethe/platform/lifecycle/undo-stack.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { RunningTelemetry } from '@lethe/platform/telemetry/open-telemetry.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { composeServices } from './compose.ts';
import type { StandaloneConfig } from './config.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { explainFullDisk } from './full-disk.ts';
import { serveHealth } from './health.ts';
import { warnOfKeptAside } from './kept-aside.ts';
import { openSigningKey, publicKeyOf, publicPemOf } from './key-files.ts';
import { addReflection } from './reflection.ts';
import { openStores } from './stores.ts';
import { type Places, placesOf } from './system-places.ts';

export interface StandaloneRuntime {
  readonly logger: Logger;
  /** Called when the process cannot go on, such as with a database that hangs on a full disk. */
  readonly onFatal: (error: unknown) => void;
  /** Settings of the single services, by variable name. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Off when absent. */
  readonly telemetry?: RunningTelemetry;
}

export interface Standalone {
  /** Where it listens, as `host:port`. */
  readonly address: string;
  readonly healthAddress: string;
  /** The stores that do not lie in the data folder, and where they do. */
  readonly places: Places;
  /** Finishes what is in flight and releases the data folder; idempotent. */
  stop(): Promise<void>;
}

/** Claims of the tokens that this server makes and takes; `lethe token` writes the same. */
export const standaloneIssuer = 'lethe-standalone';
export const standaloneAudience = 'lethe';

/**
 * Opens the data folder, starts all six services over its stores and listens. Whatever was opened is closed
 * again when a later step throws. Throws typed errors that say what to do: DATA_FOLDER_IN_USE, DATA_FOLDER_NEWER,
 * KEYRING_DAMAGED, PORT_IN_USE, DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE, STORE_FULL, STORE_DAMAGED,
 * LOG_AHEAD_OF_TABLE, SEQUENCE_GAP, LEDGER_AHEAD_OF_TABLE, SCHEMA_NEWER, SYSTEM_UNUSABLE, STORES_ELSEWHERE.
 */
export async function startStandalone(
  config: StandaloneConfig,
  runtime: StandaloneRuntime,
): Promise<Standalone> {
  const undo = createUndoStack();
  undo.push(async () => await runtime.telemetry?.stop(telemetryFlushMs));
  try {
    const folder = await openDataFolder(config.dataFolder);
    undo.push(async () => folder.release());
    await warnOfKeptAside(folder, runtime.logger);
    return await startInFolder(config, runtime, folder, undo);
  } catch (error) {
    const explained = await explainFullDisk(error, config.dataFolder);
    await undo.run();
    throw explained;
  }
}

async function startInFolder(
  config: StandaloneConfig,
  runtime: StandaloneRuntime,
  folder: DataFolder,
  undo: UndoStack,
): Promise<Standalone> {
  const issuer = await openSigningKey(folder.issuer, 'tokens made so far stop working.');
  const certificateKey = await openSigningKey(
    folder.certificateSigning,
    'certificates signed so far name the lost key.',
  );
  await writeDurably(folder.certificatePublic, publicPemOf(certificateKey));
  const { ledgerStatementsMax } = parseAnalyticsConfig(runtime.env);
  const wish = { systems: config.systems, ledgerStatementsMax };
  const stores = await openStores(folder, wish, runtime, undo);
  const services = composeServices({
    ...stores,
    certificateKey,
    network: createInProcessNetwork(),
    clock: systemClock,
    randomBytes,
    logger: runtime.logger,
    env: runtime.env,
    ...(runtime.telemetry === undefined ? {} : { telemetryOf: runtime.telemetry.of }),
  });
  observeStandalone(runtime, undo, () => stores.problem());
  for (const service of services.values()) {
    undo.push(async () => await service.stop());
    await service.start();
  }

  const health = await serveHealth(
    services,
    () => stores.problem(),
    config.host,
    config.healthPort,
  );
  undo.push(async () => await health.stop());
  const port = await listenPublic(config, runtime, services, issuer, undo);
  const address = `${config.host}:${port}`;
  const healthAddress = `${config.host}:${health.port}`;
  const info = { address, healthAddress, pid: process.pid };
  await writeDurably(folder.serverInfo, `${JSON.stringify(info)}\n`);
  const places = placesOf(config.systems);
  return { address, healthAddress, places, stop: async () => await undo.run() };
}

/** How long the last export may take: a collector that is away must not hold up the end. */
const telemetryFlushMs = 3_000;

function observeStandalone(
  { telemetry }: StandaloneRuntime,
  undo: UndoStack,
  storesProblem: () => string | undefined,
): void {
  if (telemetry === undefined) return;
  const own = telemetry.of('standalone');
  const end = observeProcess(own, () => true);
  undo.push(async () => end());
  observeProblems(own, { kms: storesProblem });
}

/** Opens the port for clients, who come with tokens of this server's own issuer; answers which one it is. */
async function listenPublic(
  config: StandaloneConfig,
  { logger }: StandaloneRuntime,
  services: ReadonlyMap<ServiceName, Service>,
  issuer: JWK,
  undo: UndoStack,
): Promise<number> {
  const registrations = [...services.values()].flatMap((service) => service.publicApi);
  const server = createGrpcServer({
    registrations,
    callers: {
      by: 'token',
      verifyToken: createAccessTokenVerifier(
        {
          issuer: standaloneIssuer,
          audience: standaloneAudience,
          verificationKey: await publicKeyOf(issuer),
          algorithms: ['EdDSA'],
        },
        systemClock,
      ),
    },
    logger,
    limits: config.limits,
  });
  await addReflection(
    server,
    registrations.map(({ serviceName }) => serviceName),
  );
  const port = await listenPlaintext(server, config.host, config.port);
  // Calls in flight finish before the services under them stop.
  undo.push(async () => await stopGrpcServer(server, config.shutdownGraceMs));
  return port;
}
