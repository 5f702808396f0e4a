import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { openKeyringKms } from '@lethe/keys/kms/keyring-kms.ts';
import { createAccessTokenVerifier } from '@lethe/platform/auth/access-token.ts';
import { createPgliteDatabases, pgliteOptions } from '@lethe/platform/database/pglite.ts';
import { createPgliteVacuum } from '@lethe/platform/database/pglite-vacuum.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { openSqliteEventLog } from '@lethe/platform/event-log/sqlite.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { createGrpcServer, listenPlaintext, stopGrpcServer } from '@lethe/platform/grpc/server.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { topics } from '@lethe/proto/topics.ts';
import { openEmbeddedClickHouse } from './aggregate-store.ts';
import { composeServices } from './compose.ts';
import type { StandaloneConfig } from './config.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { explainFullDisk } from './full-disk.ts';
import { serveHealth } from './health.ts';
import { openSigningKey, publicKeyOf, publicPemOf } from './key-files.ts';
import { addReflection } from './reflection.ts';
import { createUndoStack, type UndoStack } from './undo-stack.ts';

export interface StandaloneRuntime {
  readonly logger: Logger;
  /** Called when the process cannot go on, such as with a database that hangs on a full disk. */
  readonly onFatal: (error: unknown) => void;
  /** Settings of the single services, by variable name. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Standalone {
  /** Where it listens, as `host:port`. */
  readonly address: string;
  readonly healthAddress: string;
  /** Finishes what is in flight and releases the data folder; idempotent. */
  stop(): Promise<void>;
}

/** Claims of the tokens that this server makes and takes; `lethe token` writes the same. */
export const standaloneIssuer = 'lethe-standalone';
export const standaloneAudience = 'lethe';

/**
 * Opens the data folder, starts all six services over the embedded stores and listens. Whatever was opened is closed
 * again when a later step throws. Throws typed errors that say what to do: DATA_FOLDER_IN_USE, DATA_FOLDER_NEWER,
 * KEYRING_DAMAGED, PORT_IN_USE, DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE, STORE_FULL, STORE_DAMAGED, SCHEMA_NEWER.
 */
export async function startStandalone(
  config: StandaloneConfig,
  runtime: StandaloneRuntime,
): Promise<Standalone> {
  const undo = createUndoStack();
  try {
    const folder = await openDataFolder(config.dataFolder);
    undo.push(async () => folder.release());
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
  const services = composeServices({
    ...(await openStores(folder, runtime, undo)),
    certificateKey,
    network: createInProcessNetwork(),
    clock: systemClock,
    randomBytes,
    logger: runtime.logger,
    env: runtime.env,
  });
  for (const service of services.values()) {
    undo.push(async () => await service.stop());
    await service.start();
  }

  const health = await serveHealth(services, config.host, config.healthPort);
  undo.push(async () => await health.stop());
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
    logger: runtime.logger,
  });
  await addReflection(
    server,
    registrations.map(({ serviceName }) => serviceName),
  );
  const port = await listenPlaintext(server, config.host, config.port);
  // Calls in flight finish before the services under them stop.
  undo.push(async () => await stopGrpcServer(server, config.shutdownGraceMs));

  const address = `${config.host}:${port}`;
  const healthAddress = `${config.host}:${health.port}`;
  const info = { address, healthAddress, pid: process.pid };
  await writeDurably(folder.serverInfo, `${JSON.stringify(info)}\n`);
  return { address, healthAddress, stop: async () => await undo.run() };
}

async function openStores(folder: DataFolder, runtime: StandaloneRuntime, undo: UndoStack) {
  const { logger } = runtime;
  const kms = await openKeyringKms({ path: folder.keyring, randomBytes });
  const eventLog = openSqliteEventLog({
    path: folder.eventLog,
    partitions: new Map(topics.map((topic) => [topic.name, topic.partitions])),
    clock: systemClock,
    logger,
  });
  undo.push(async () => await eventLog.close());
  const databases = createPgliteDatabases(await openPglite(folder.postgres), {
    onHung: (reason) => {
      const failure = new ServiceError('STORE_UNAVAILABLE', reason);
      void explainFullDisk(failure, folder.root).then(runtime.onFatal);
    },
    killsHungProcess: true,
  });
  undo.push(async () => await databases.close());
  const vacuum = createPgliteVacuum({ databases, clock: systemClock, logger });
  vacuum.start();
  undo.push(async () => await vacuum.stop());
  await mkdir(folder.clickhouse, { recursive: true, mode: 0o700 });
  const clickHouse = await openEmbeddedClickHouse(folder.clickhouse);
  undo.push(async () => await clickHouse.close());
  return { kms, eventLog, databases, clickHouse };
}

async function openPglite(folder: string): Promise<PGlite> {
  try {
    return await PGlite.create(folder, pgliteOptions);
  } catch (error) {
    const message = `The embedded PostgreSQL cannot open ${folder}; is it damaged, or is the disk full?`;
    throw new ServiceError('STORE_UNAVAILABLE', message, { cause: error });
  }
}
