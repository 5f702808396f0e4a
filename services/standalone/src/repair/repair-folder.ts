import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { AnalyticsSchema } from '@lethe/analytics/store.ts';
import { openKeyringKms } from '@lethe/keys/kms/keyring-kms.ts';
import type { PgliteDatabases } from '@lethe/platform/database/pglite.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type Clock, systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { publishPrivacyAgain } from '@lethe/privacy/publish-again.ts';
import type { PrivacySchema } from '@lethe/privacy/schema.ts';
import { type DataFolder, holdDataFolder, requireFormat } from '../data-folder.ts';
import { explainFullDisk } from '../full-disk.ts';
import { asideName, type KeptAside, listKeptAside } from '../kept-aside.ts';
import { readPlaces } from '../places-record.ts';
import { openDatabases, openEventLog } from '../stores.ts';
import { createApplyAhead } from './apply-ahead.ts';
import type { Finding, Lost, Mendable } from './finding.ts';
import { assertKnownSchemas } from './known-schemas.ts';
import { type Aside, lookAtFolder, lookAtKeys, lookAtLogFile } from './look-at-files.ts';
import { withLedger } from './look-at-ledger.ts';
import { lookAtTables } from './look-at-tables.ts';
import { createMendTopic } from './mend-topic.ts';

export interface RepairWish {
  readonly dataFolder: string;
  /** Looks and changes nothing. */
  readonly dryRun: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What a repair found and did, in the order in which it looked. */
export interface RepairReport {
  readonly findings: readonly Finding[];
  /** A damage stands before stores that can only be judged without it. */
  readonly isCutShort: boolean;
  /** What this run and earlier ones have kept. */
  readonly keptAside: readonly KeptAside[];
}

/**
 * Looks at every store of a data folder on which no server works, and mends what it can: files first, then the log
 * against the tables, then the ledger against both. Each step may be repeated; if the process dies, the next run goes on.
 * Throws DATA_FOLDER_IN_USE, DATA_FOLDER_UNUSABLE (no such folder), DATA_FOLDER_NEWER,
 * SCHEMA_NEWER, STORE_FULL, STORES_ELSEWHERE.
 */
export async function repairFolder(wish: RepairWish): Promise<RepairReport> {
  if (!existsSync(wish.dataFolder)) {
    throw new ServiceError('DATA_FOLDER_UNUSABLE', `There is no data folder ${wish.dataFolder}.`);
  }
  const folder = await holdDataFolder(wish.dataFolder);
  try {
    await assertAllInFolder(folder);
    const report = await repairHeld(folder, wish);
    return { ...report, keptAside: await listKeptAside(folder) };
  } catch (error) {
    throw await explainFullDisk(error, wish.dataFolder);
  } finally {
    folder.release();
  }
}

/** What lies elsewhere is not in the folder's files, and would look as if it were lost. */
async function assertAllInFolder({ root }: DataFolder): Promise<void> {
  const places = Object.entries((await readPlaces({ root })) ?? {});
  if (places.length === 0) return;
  const list = places.map(([store, place]) => `its ${store} on ${place}`).join(', ');
  const message = `The data folder ${root} has ${list}: a repair of the folder cannot judge it. See docs/operators/repair.md.`;
  throw new ServiceError('STORES_ELSEWHERE', message);
}

type Found = readonly (Mendable | Lost)[];

async function repairHeld(
  folder: DataFolder,
  wish: RepairWish,
): Promise<Omit<RepairReport, 'keptAside'>> {
  const findings: Finding[] = [];
  const aside = asideAt(wish.clock);
  /** Answers whether the stores behind can be judged. */
  const settle = async (found: Found): Promise<boolean> => {
    let isClear = true;
    for (const each of found) {
      findings.push(await settled(each, wish.dryRun));
      if ('isLost' in each) isClear = false;
      else if (wish.dryRun && each.hidesTheRest === true) isClear = false;
    }
    return isClear;
  };
  const hasFormat = await settle(await lookAtFolder(folder, aside));
  if (hasFormat) await requireFormat(folder.root);
  const isClear = (await settle(await lookAtKeys(folder, aside))) && isStarted(folder);
  const hasLog = (await settle(await lookAtLogFile(folder, aside))) && isClear;
  if (!hasLog) return { findings, isCutShort: isStarted(folder) };
  const databases = await openOrLose(folder, wish, findings);
  if (databases === undefined) return { findings, isCutShort: true };
  try {
    await assertKnownSchemas(databases);
    await settleLog(folder, databases, wish, settle);
    const db = databases.database<AnalyticsSchema>('analytics');
    await withLedger(folder, db, aside, settle);
  } finally {
    await databases.close();
  }
  return { findings, isCutShort: false };
}

/** Before its first start is over a folder has no database: the next start goes on with it. */
function isStarted({ postgres }: DataFolder): boolean {
  return existsSync(postgres);
}

async function settled(found: Mendable | Lost, dryRun: boolean): Promise<Finding> {
  const { store, what, action } = found;
  if ('isLost' in found) return { store, state: 'lost', what, action };
  if (dryRun) return { store, state: 'mendable', what, action };
  return { store, state: 'mended', what, action: await found.mend() };
}

/** One moment for all that this run keeps. */
function asideAt(clock: Clock): Aside {
  const nowMs = clock.nowMs();
  return (file) => asideName(file, nowMs);
}

async function openOrLose(
  folder: DataFolder,
  wish: RepairWish,
  findings: Finding[],
): Promise<PgliteDatabases | undefined> {
  try {
    return await openDatabases(folder, wish);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.reason !== 'STORE_DAMAGED') throw error;
    findings.push({
      store: 'database',
      state: 'lost',
      what: error.message,
      action:
        'put a copy of the folder pg in its place and run this again: it brings the copy forward from the log. Data keys that were made after the copy are in no other place',
    });
    return undefined;
  }
}

/** Compares the log with the tables, and hands what was found to `settle` while both are open. */
async function settleLog(
  folder: DataFolder,
  databases: PgliteDatabases,
  { logger, env }: RepairWish,
  settle: (found: Found) => Promise<boolean>,
): Promise<void> {
  // Opened first, so that a log that is not there has its partitions.
  const eventLog = openEventLog(folder, { logger });
  const kms = await openKeyringKms({ path: folder.keyring, randomBytes });
  const logFile = folder.eventLog;
  const ahead = createApplyAhead({ kms, eventLog, databases, logFile, logger, env });
  const mendTopic = createMendTopic({
    logFile,
    databases,
    applyAhead: ahead.apply,
    publishPrivacyAgain: async () => {
      const db = databases.database<PrivacySchema>('privacy');
      await publishPrivacyAgain(db, systemClock, randomBytes);
    },
  });
  try {
    await settle(await lookAtTables(logFile, databases, mendTopic));
  } finally {
    await ahead.stop();
    await eventLog.close();
  }
}
