import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseJson } from '@lethe/platform/files/parse-json.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { type DataFolder, readIfThere } from './data-folder.ts';
import { type Places, type StoreName, storeNames } from './system-places.ts';

const recordSchema = z.partialRecord(z.enum(storeNames), z.string());

const words: Readonly<Record<StoreName, string>> = {
  log: 'the log',
  database: 'the database',
  keys: 'the key store',
  ledger: 'the ledger',
};

/** How each store's system is named on the command line. */
const flags: Readonly<Record<StoreName, string>> = {
  log: '--kafka',
  database: '--postgres',
  keys: '--vault',
  ledger: '--clickhouse',
};

function fileOf({ root }: Pick<DataFolder, 'root'>): string {
  return path.join(root, 'stores.json');
}

/** Where the stores of a folder lay when it was last used; undefined for a folder that never named a real system. */
export async function readPlaces(folder: Pick<DataFolder, 'root'>): Promise<Places | undefined> {
  const file = fileOf(folder);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  const parsed = recordSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const message = `The file ${file} is damaged: remove it, and start with the same systems as before.`;
  throw new ServiceError('STORE_DAMAGED', message);
}

/**
 * A folder whose database lay on PostgreSQL would look empty without it, and its log would be another's. Addresses may
 * change; what is in the folder and what is not may not. Throws STORES_ELSEWHERE.
 */
export async function assertSamePlaces(folder: DataFolder, now: Places): Promise<void> {
  const recorded = await readPlaces(folder);
  const moved = storeNames.flatMap((store) => {
    const wasInFolder =
      recorded === undefined ? existsSync(embeddedFile(folder, store)) : !(store in recorded);
    const isKnown = recorded !== undefined || wasInFolder;
    if (!isKnown || wasInFolder === !(store in now)) return [];
    return wasInFolder
      ? [`${words[store]} lies in it: leave ${flags[store]} away`]
      : [`${words[store]} lies on ${recorded?.[store]}: give ${flags[store]} again`];
  });
  if (moved.length === 0) return;
  const message = `The data folder ${folder.root} was used with other stores: ${moved.join('; ')}.`;
  throw new ServiceError('STORES_ELSEWHERE', message);
}

/** Once all stores are open. If the process dies before, what lies in the folder tells the next start the same. */
export async function recordPlaces(folder: DataFolder, now: Places): Promise<void> {
  const isNew = (await readPlaces(folder)) === undefined;
  if (isNew && Object.keys(now).length === 0) return;
  await writeDurably(fileOf(folder), `${JSON.stringify(now)}\n`);
}

function embeddedFile(folder: DataFolder, store: StoreName): string {
  switch (store) {
    case 'log':
      return folder.eventLog;
    case 'database':
      return folder.postgres;
    case 'keys':
      return folder.keyring;
    case 'ledger':
      return folder.clickhouse;
  }
}
