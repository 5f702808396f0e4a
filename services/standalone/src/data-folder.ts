import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseJson } from '@lethe/platform/files/parse-json.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';

/** Raised when what lies in the folder can no longer be read by an older version. */
export const dataFormat = 1;

/** Everything that standalone keeps, and where. */
export interface DataFolder {
  readonly root: string;
  readonly keyring: string;
  readonly issuer: string;
  readonly certificateSigning: string;
  readonly certificatePublic: string;
  readonly eventLog: string;
  readonly postgres: string;
  readonly clickhouse: string;
  readonly serverInfo: string;
  /** Lets another process open the folder. The operating system does the same when this one dies. */
  release(): void;
}

const versionSchema = z.object({ format: z.int().positive() });

/**
 * Opens or creates a data folder for this process alone.
 * Throws DATA_FOLDER_IN_USE, DATA_FOLDER_NEWER, DATA_FOLDER_UNUSABLE; then nothing in the folder was changed.
 */
export async function openDataFolder(root: string): Promise<DataFolder> {
  const folder = await holdDataFolder(root);
  try {
    await requireFormat(root);
  } catch (error) {
    folder.release();
    throw error;
  }
  return folder;
}

/**
 * The same without a look at its format, for repairing it. Throws DATA_FOLDER_IN_USE, DATA_FOLDER_UNUSABLE.
 */
export async function holdDataFolder(root: string): Promise<DataFolder> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (error) {
    const message = `The data folder ${root} cannot be created; check the path and its rights.`;
    throw new ServiceError('DATA_FOLDER_UNUSABLE', message, { cause: error });
  }
  const release = lockFolder(root);
  return {
    root,
    keyring: path.join(root, 'keyring.json'),
    issuer: path.join(root, 'issuer.jwk'),
    certificateSigning: path.join(root, 'certificate-signing.jwk'),
    certificatePublic: path.join(root, 'certificate-key.pem'),
    eventLog: path.join(root, 'log.sqlite'),
    postgres: path.join(root, 'pg'),
    clickhouse: path.join(root, 'chdb'),
    serverInfo: path.join(root, 'server.json'),
    release,
  };
}

/**
 * An exclusive transaction on a small SQLite file is a lock that the operating system takes back when the process
 * dies, so a kill -9 leaves no stale lock behind, and no process id is ever mistaken for another.
 */
function lockFolder(root: string): () => void {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path.join(root, 'lock.sqlite'), { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    const held = lock;
    return () => {
      if (held.isOpen) held.close();
    };
  } catch (error) {
    lock?.close();
    if (error instanceof Error && /locked|busy/.test(error.message)) {
      const message = `Another process works on the data folder ${root}; stop it or choose another with --data.`;
      throw new ServiceError('DATA_FOLDER_IN_USE', message, { cause: error });
    }
    const message = `The data folder ${root} cannot be opened; check its rights and the free space.`;
    throw new ServiceError('DATA_FOLDER_UNUSABLE', message, { cause: error });
  }
}

/** Throws STORE_DAMAGED, DATA_FOLDER_NEWER; writes the format of a new folder. */
export async function requireFormat(root: string): Promise<void> {
  const file = path.join(root, 'version.json');
  const text = await readIfThere(file);
  if (text === undefined) {
    await writeDurably(file, `${JSON.stringify({ format: dataFormat })}\n`);
    return;
  }
  const parsed = versionSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const message = `The file ${file} is damaged: it must hold {"format": <number>}.`;
    throw new ServiceError('STORE_DAMAGED', message);
  }
  if (parsed.data.format > dataFormat) {
    const message =
      `The data folder ${root} has format ${parsed.data.format}; this version reads up to ${dataFormat}. ` +
      'Run the version that wrote it or a newer one.';
    throw new ServiceError('DATA_FOLDER_NEWER', message);
  }
}

/** The file's text, or undefined when there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
