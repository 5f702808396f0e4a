import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { readKeyringFile } from '@lethe/keys/kms/keyring-file.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseJson } from '@lethe/platform/files/parse-json.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { checkSqliteLog, salvageSqliteLog } from '@lethe/platform/event-log/sqlite-salvage.ts';
import { dataFormat, type DataFolder, readIfThere } from '../data-folder.ts';
import { isSigningKey } from '../key-files.ts';
import type { Lost, Mendable } from './finding.ts';

/** Gives a damaged file a name under which nothing looks for it. Nothing is ever deleted that held data. */
export type Aside = (file: string) => string;

/** What an interrupted write or start left over, and the file that says the folder's format. */
export async function lookAtFolder(
  { root }: DataFolder,
  aside: Aside,
): Promise<readonly Mendable[]> {
  const names = await readdir(root);
  const isLeftover = (name: string) =>
    name.endsWith('.new') || /\.(salvage|fresh)(-\w+)?$/.test(name);
  const leftovers = names.filter(isLeftover).map((name) => path.join(root, name));
  const found: Mendable[] = [];
  if (leftovers.length > 0) {
    found.push({
      store: 'folder',
      what: `${leftovers.length} files of writes that were interrupted`,
      action: 'delete them; the files that they were to replace are whole',
      mend: async () => {
        for (const file of leftovers) await rm(file);
        return `deleted ${leftovers.length} files of interrupted writes`;
      },
    });
  }
  const version = path.join(root, 'version.json');
  const text = await readIfThere(version);
  if (text !== undefined && parseJson(text) === undefined) {
    found.push({
      store: 'folder',
      what: 'version.json is no JSON',
      action: `keep it aside and write format ${dataFormat}; the stores say themselves when they are newer`,
      hidesTheRest: true,
      mend: async () => {
        await rename(version, aside(version));
        await writeDurably(version, `${JSON.stringify({ format: dataFormat })}\n`);
        return `wrote version.json with format ${dataFormat}`;
      },
    });
  }
  return found;
}

/** The keyring, which nothing can make again, and the two signing keys, which can be made anew at a price. */
export async function lookAtKeys(
  { keyring, issuer, certificateSigning, certificatePublic }: DataFolder,
  aside: Aside,
): Promise<readonly (Mendable | Lost)[]> {
  const found: (Mendable | Lost)[] = [];
  try {
    await readKeyringFile(keyring);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const action = 'put its copy in its place: without it no data of this folder can be read';
    found.push({ store: 'keys', what: error.message, action, isLost: true });
  }
  const signingKeys = [
    { file: issuer, kept: [issuer], price: 'access tokens made so far stop working' },
    {
      file: certificateSigning,
      kept: [certificateSigning, certificatePublic],
      price: 'certificates made so far are verified with the public key that is kept aside',
    },
  ];
  for (const { file, kept, price } of signingKeys) {
    const text = await readIfThere(file);
    if (text === undefined || isSigningKey(text)) continue;
    found.push({
      store: 'keys',
      what: `${path.basename(file)} is damaged`,
      action: `restore it from a copy, or keep it aside and have a new key made at the next start: ${price}`,
      mend: async () => {
        for (const each of kept) if (existsSync(each)) await rename(each, aside(each));
        return `kept ${path.basename(file)} aside; the next start makes a new key`;
      },
    });
  }
  return found;
}

/** The pages of the event log's file. */
export async function lookAtLogFile(
  { eventLog }: DataFolder,
  aside: Aside,
): Promise<readonly Mendable[]> {
  const check = checkSqliteLog(eventLog);
  if (check.state !== 'damaged') return [];
  return [
    {
      store: 'event log',
      what: `log.sqlite is damaged: ${check.problem}`,
      action:
        'read what can be read into a fresh file and keep the damaged one aside; then put back what the database has',
      hidesTheRest: true,
      mend: async () => {
        const kept = aside(eventLog);
        try {
          const { entries, lost } = salvageSqliteLog(eventLog, kept);
          return `saved ${entries} entries of log.sqlite, ${lost} could not be read; the damaged file is ${path.basename(kept)}`;
        } catch {
          // Not even its list of partitions: what the database has of the records is put back next.
          for (const end of ['-wal', '-shm']) {
            if (existsSync(eventLog + end)) await rename(eventLog + end, kept + end);
          }
          if (existsSync(eventLog)) await rename(eventLog, kept);
          return `nothing of log.sqlite could be read; it is kept as ${path.basename(kept)}`;
        }
      },
    },
  ];
}
