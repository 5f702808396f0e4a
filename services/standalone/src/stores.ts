import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import { PGlite } from '@electric-sql/pglite';
import { openKeyringKms } from '@lethe/keys/kms/keyring-kms.ts';
import type { Kms } from '@lethe/keys/kms/port.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { createPgliteDatabases, pgliteOptions } from '@lethe/platform/database/pglite.ts';
import type { PgliteDatabases } from '@lethe/platform/database/pglite.ts';
import { createPgliteVacuum } from '@lethe/platform/database/pglite-vacuum.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { openSqliteEventLog } from '@lethe/platform/event-log/sqlite.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { topics } from '@lethe/proto/topics.ts';
import { openEmbeddedClickHouse } from './aggregate-store.ts';
import type { DataFolder } from './data-folder.ts';
import { explainFullDisk } from './full-disk.ts';
import { assertSamePlaces, recordPlaces } from './places-record.ts';
import { assertStoresFit } from './stores-fit.ts';
import { type Places, placesOf } from './system-places.ts';
import * as systems from './systems.ts';
import type { RealSystems } from './systems-config.ts';

/** What the stores tell whoever runs them. */
export interface StoresRuntime {
  readonly logger: Logger;
  /** Called when the process cannot go on, such as with a database that hangs on a full disk. */
  readonly onFatal: (error: unknown) => void;
}

/** The stores of a server, each in its data folder or on a real system. */
export interface Stores {
  readonly kms: Kms;
  readonly eventLog: EventLog;
  readonly databases: Databases;
  readonly clickHouse: ClickHouseClient;
  /** Which of them are servers. */
  readonly servers: { readonly database: boolean; readonly ledger: boolean };
  /** What somebody should look at, of the systems themselves. */
  problem(): string | undefined;
}

export interface StoresWish {
  readonly systems: RealSystems;
  /** Statements that a ClickHouse server runs for this process at a time. */
  readonly ledgerStatementsMax: number;
}

/**
 * Opens all stores of a folder that this process holds and looks whether they fit each other; throws what each opening
 * below throws, STORES_ELSEWHERE, and what `assertStoresFit` throws.
 */
export async function openStores(
  folder: DataFolder,
  wish: StoresWish,
  runtime: StoresRuntime,
  closings: systems.Closings,
): Promise<Stores> {
  const places: Places = placesOf(wish.systems);
  await assertSamePlaces(folder, places);
  // First what may be away or refuse: the embedded engines take seconds.
  const real = await openReal(wish, runtime, closings);
  const kms = real.kms ?? (await openKeyringKms({ path: folder.keyring, randomBytes }));
  const eventLog = real.eventLog ?? openOwnLog(folder, runtime, closings);
  const databases = real.databases ?? (await openOwnDatabases(folder, runtime, closings));
  const clickHouse = real.clickHouse ?? (await openOwnLedger(folder, closings));
  await assertStoresFit(folder, { eventLog, databases, clickHouse, isLogFile: !('log' in places) });
  await recordPlaces(folder, places);
  const servers = { database: 'database' in places, ledger: 'ledger' in places };
  const problem = () => real.kms?.problem();
  return { kms, eventLog, databases, clickHouse, servers, problem };
}

async function openReal(
  { systems: { kafka, postgres, kms, clickHouse }, ledgerStatementsMax }: StoresWish,
  runtime: StoresRuntime,
  closings: systems.Closings,
) {
  return {
    eventLog: kafka && (await systems.openKafka(kafka, runtime, closings)),
    databases: postgres && (await systems.openDatabases(postgres, runtime, closings)),
    kms: kms && (await systems.openServerKms(kms, runtime, closings)),
    clickHouse: clickHouse && (await systems.openLedger(clickHouse, ledgerStatementsMax, closings)),
  };
}

function openOwnLog(
  folder: DataFolder,
  runtime: StoresRuntime,
  closings: systems.Closings,
): EventLog {
  const eventLog = openEventLog(folder, runtime);
  closings.push(async () => await eventLog.close());
  return eventLog;
}

async function openOwnDatabases(
  folder: DataFolder,
  runtime: StoresRuntime,
  closings: systems.Closings,
): Promise<Databases> {
  const databases = await openDatabases(folder, runtime);
  closings.push(async () => await databases.close());
  const vacuum = createPgliteVacuum({ databases, clock: systemClock, logger: runtime.logger });
  vacuum.start();
  closings.push(async () => await vacuum.stop());
  return databases;
}

async function openOwnLedger(
  folder: DataFolder,
  closings: systems.Closings,
): Promise<ClickHouseClient> {
  const clickHouse = await openClickHouse(folder);
  closings.push(async () => await clickHouse.close());
  return clickHouse;
}

/** Throws STORE_DAMAGED, DATA_FOLDER_NEWER. */
export function openEventLog(
  folder: DataFolder,
  { logger }: Pick<StoresRuntime, 'logger'>,
): EventLog {
  return openSqliteEventLog({
    path: folder.eventLog,
    partitions: new Map(topics.map((topic) => [topic.name, topic.partitions])),
    clock: systemClock,
    logger,
  });
}

/** Throws STORE_DAMAGED. */
export async function openDatabases(
  folder: DataFolder,
  { onFatal }: Pick<StoresRuntime, 'onFatal'>,
): Promise<PgliteDatabases> {
  return createPgliteDatabases(await openPglite(folder), {
    onHung: (reason) => {
      const failure = new ServiceError('STORE_UNAVAILABLE', reason);
      void explainFullDisk(failure, folder.root).then(onFatal);
    },
    killsHungProcess: true,
  });
}

/**
 * A first start writes some 1,000 files. A marker lies beside them until all are there, before any service can use the
 * database: a folder that is found with it was never used and is made anew. If the process dies before the marker or
 * after it is gone, there is nothing or a whole database.
 */
async function openPglite({ root, postgres }: DataFolder): Promise<PGlite> {
  const marker = path.join(root, 'pg.creating');
  if (existsSync(marker)) await rm(postgres, { recursive: true, force: true });
  const isNew = !existsSync(postgres);
  if (!isNew && !existsSync(path.join(postgres, 'PG_VERSION'))) {
    throw damaged(postgres, 'the embedded PostgreSQL, which lacks its file PG_VERSION');
  }
  if (isNew) await writeDurably(marker, '');
  try {
    const pglite = await PGlite.create(postgres, pgliteOptions);
    await rm(marker, { force: true });
    return pglite;
  } catch (error) {
    throw damaged(postgres, 'the embedded PostgreSQL, which cannot be opened', error);
  }
}

/** Throws STORE_DAMAGED. */
export async function openClickHouse({ clickhouse }: DataFolder): Promise<ClickHouseClient> {
  await mkdir(clickhouse, { recursive: true, mode: 0o700 });
  return await openEmbeddedClickHouse(clickhouse);
}

function damaged(folder: string, what: string, cause?: unknown): ServiceError {
  const message = `The folder ${folder} holds ${what}: it is damaged, or of another version of Lethe.`;
  return new ServiceError('STORE_DAMAGED', message, { cause });
}
