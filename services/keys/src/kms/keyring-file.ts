import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { z } from 'zod';

/** All KMS keys of the embedded KMS, as they lie in the keyring file. */
export interface Keyring {
  readonly tenants: Readonly<Record<string, TenantVersions>>;
}

export interface TenantVersions {
  /** Version numbers are never used again, also after `versions` has lost the lower ones. */
  readonly newestVersion: number;
  /** 32 bytes in base64, by version number. */
  readonly versions: Readonly<Record<string, string>>;
}

const format = 1;

const keyringSchema = z.strictObject({
  format: z.literal(format),
  tenants: z.record(
    z.string(),
    z.strictObject({
      newestVersion: z.int().positive(),
      versions: z.record(z.string().regex(/^[1-9][0-9]*$/), z.base64().length(44)),
    }),
  ),
  /** SHA-256 in hex of `{"format":…,"tenants":…}` as JSON.stringify writes it. */
  checksum: z.string(),
});

function checksumOf(tenants: Keyring['tenants']): string {
  return createHash('sha256').update(JSON.stringify({ format, tenants })).digest('hex');
}

function damaged(path: string, what: string, cause?: unknown): ServiceError {
  return new ServiceError(
    'KEYRING_DAMAGED',
    `The keyring file ${path} ${what}.`,
    cause === undefined ? {} : { cause },
  );
}

const restore = 'restore it from its copy; without it no data of this folder can be read';

/** Undefined when there is no file. Throws KEYRING_DAMAGED, naming the file and what to do. */
export async function readKeyringFile(path: string): Promise<Keyring | undefined> {
  const file = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw damaged(path, "cannot be looked at: check the folder's permissions", error);
  });
  if (file === undefined) return undefined;
  if (!file.isFile()) throw damaged(path, 'is not a plain file: put the keyring itself there');
  if ((file.mode & 0o077) !== 0) {
    throw damaged(
      path,
      `can be read or changed by others (mode ${(file.mode & 0o777).toString(8)}): find out who had access, then chmod 600`,
    );
  }
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw damaged(path, 'cannot be read: run as its owner', error);
  });
  return parseKeyring(path, text);
}

function parseKeyring(path: string, text: string): Keyring {
  // The causes are left out: a JSON error quotes the text, which holds keys.
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw damaged(path, `is not JSON: ${restore}`);
  }
  const parsed = keyringSchema.safeParse(json);
  if (!parsed.success) throw damaged(path, `is no keyring of format ${format}: ${restore}`);
  const { tenants, checksum } = parsed.data;
  if (checksumOf(tenants) !== checksum) {
    throw damaged(path, `does not match its checksum: ${restore}`);
  }
  return { tenants };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * Replaces the file. When the process dies at any moment, the file is the old one or the new one, whole, and once this
 * resolves it is the new one. The old file's blocks are freed, not overwritten: whoever reads the raw disk or holds a
 * copy of the file still has destroyed versions (docs/operators/disaster-recovery.md: the horizon).
 */
export async function writeKeyringFile(path: string, keyring: Keyring): Promise<void> {
  const { tenants } = keyring;
  await writeDurably(path, JSON.stringify({ format, tenants, checksum: checksumOf(tenants) }));
}
