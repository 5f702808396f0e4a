import { statfs } from 'node:fs/promises';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';

/** Below this much room hardly anything of ours can be written. */
const roomMinBytes = 1024 * 1024;
/** An embedded PostgreSQL that is opened after it died needs a segment of its log, 16 MiB, and cannot say what it lacks. */
const roomToOpenBytes = 24 * 1024 * 1024;

/** As the operating system, PostgreSQL, SQLite and ClickHouse say it. */
const fullDiskText = /ENOSPC|no space left|disk is full|NOT_ENOUGH_SPACE/i;

/** STORE_FULL in the words of the data folder; its class tells it from the STORE_FULL of a store, which lacks them. */
class DataFolderFullError extends ServiceError {
  constructor(message: string, cause: unknown) {
    super('STORE_FULL', message, { cause });
  }
}

/**
 * What failed, said as STORE_FULL when the disk of the data folder is the cause: an embedded store words it in a way of
 * its own, or not at all. Any other failure comes back as it was.
 */
export async function explainFullDisk(
  failure: unknown,
  folder: string,
  roomOf: (folder: string) => Promise<number | undefined> = freeBytesOf,
): Promise<unknown> {
  if (!(failure instanceof Error) || failure instanceof DataFolderFullError) return failure;
  const freeBytes = await roomOf(folder);
  const isOpening = failure instanceof ServiceError && failure.reason === 'STORE_DAMAGED';
  const neededBytes = isOpening ? roomToOpenBytes : roomMinBytes;
  const isFull = freeBytes !== undefined && freeBytes < neededBytes;
  const isStoreFull = failure instanceof ServiceError && failure.reason === 'STORE_FULL';
  if (!isFull && !isStoreFull && !saysFullDisk(failure)) return failure;
  const room = freeBytes === undefined ? '' : ` (${Math.floor(freeBytes / 1024)} KiB are free)`;
  const message = `The disk of the data folder ${folder} is full${room}; what was acknowledged is kept.`;
  return new DataFolderFullError(message, failure);
}

function saysFullDisk(failure: unknown): boolean {
  if (!(failure instanceof Error)) return false;
  return fullDiskText.test(failure.message) || saysFullDisk(failure.cause);
}

async function freeBytesOf(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    // A folder that is not there is not full; the failure itself says what is wrong.
    return undefined;
  }
}
