import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import { createAwsClient } from './aws-client.ts';
import { type AwsKeys, type AwsVersion, createAwsKeys } from './aws-keys.ts';
import type { AwsKmsConfig } from './aws-kms-config.ts';
import { settled } from './aws-settling.ts';
import { decodeAwsWrapped, encodeAwsWrapped } from './aws-wrapped.ts';
import type { Kms } from './port.ts';
import { createTenantTurns } from './tenant-turns.ts';

export interface AwsKmsPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The KMS port on AWS KMS; it holds connections, so it has an end. */
export interface AwsKms extends Kms {
  /** The SDK looks after credentials when it is called: nothing expires in between. */
  problem(): undefined;
  /** Closes its connections; no call may follow. Idempotent. */
  close(): Promise<void>;
}

/**
 * AWS never destroys one version of a key, so that a version is a KMS key of its own here, under the alias
 * `alias/<prefix>/<tenant>/<version>`; every wrap is bound to its tenant by the encryption context. A destroyed version
 * does nothing from the same moment on, and is gone after the pending window, within which an administrator of the
 * account could take the deletion back (docs/operators/aws-kms.md).
 *
 * Asks AWS once, so that a wrong region, credential or right is found at the start; an AWS that is away is no reason to
 * refuse. Throws KMS_ACCESS_DENIED and KMS_MISCONFIGURED, saying what to correct.
 */
export async function openAwsKms(config: AwsKmsConfig, ports: AwsKmsPorts): Promise<AwsKms> {
  const { clock, logger } = ports;
  const aws = await createAwsClient(config, clock);
  const keys = createAwsKeys(aws, config);
  try {
    await keys.check();
  } catch (error) {
    const reason = error instanceof ServiceError ? error.reason : 'INTERNAL_DEFECT';
    if (!isTransient(error) || reason === 'KMS_ACCESS_DENIED') {
      aws.client.destroy();
      throw error;
    }
    logger.warn({ component: 'aws-kms', reason }, 'AWS KMS does not answer yet');
  }
  const versions = createVersions(keys);
  const parts = { keys, versions, clock };
  return {
    wrap: (tenantId, plaintext) => wrap(parts, tenantId, plaintext),
    unwrap: (tenantId, wrapped) => unwrap(parts, tenantId, wrapped),
    rotate: createRotate(parts),
    destroyVersionsBefore: (tenantId, version) => destroyBefore(parts, tenantId, version),
    destroyTenant: (tenantId) => destroyTenant(parts, tenantId),
    problem: () => undefined,
    close: async () => aws.client.destroy(),
  };
}

interface AwsKmsParts {
  readonly keys: AwsKeys;
  readonly versions: Versions;
  readonly clock: Clock;
}

/** The living versions of tenants. */
interface Versions {
  /** In rising order. */
  of(tenantId: TenantId): Promise<readonly AwsVersion[]>;
  remember(tenantId: TenantId, made: AwsVersion): void;
  forget(tenantId: TenantId): void;
}

/**
 * AWS lists a new alias some seconds late. The newest version that this process has made is never overlooked meanwhile:
 * what is wrapped with the one before it would be lost when that is destroyed.
 */
function createVersions(keys: AwsKeys): Versions {
  const newest = new Map<TenantId, AwsVersion>();
  return {
    of: async (tenantId) => {
      const listed = await keys.versions(tenantId);
      const made = newest.get(tenantId);
      const newestListed = listed.at(-1)?.version ?? 0;
      return made !== undefined && made.version > newestListed ? [...listed, made] : listed;
    },
    remember: (tenantId, made) => void newest.set(tenantId, made),
    forget: (tenantId) => void newest.delete(tenantId),
  };
}

async function wrap(
  { keys, versions, clock }: AwsKmsParts,
  tenantId: TenantId,
  plaintext: Uint8Array,
): Promise<Buffer> {
  const newest = (await versions.of(tenantId)).at(-1);
  if (newest === undefined) throw missing(tenantId);
  const { keyId } = newest;
  const found = (await settled(clock, () => keys.describe(keyId))) ?? notYet(keyId);
  if (found.state === 'PendingDeletion') throw missing(tenantId);
  if (!found.isSuitable) {
    throw new ServiceError(
      'KMS_MISCONFIGURED',
      `The KMS key ${keyId} of tenant ${tenantId} must be symmetric, made in AWS KMS and in one region: find out who put its alias there.`,
    );
  }
  // A disabled key is refused by AWS itself.
  const blob = await settled(clock, () => keys.encrypt(tenantId, keyId, plaintext));
  return encodeAwsWrapped({ keyId, blob: blob ?? notYet(keyId) });
}

async function unwrap(
  { keys, versions, clock }: AwsKmsParts,
  tenantId: TenantId,
  wrapped: Uint8Array,
): Promise<Buffer> {
  const ciphertext = decodeAwsWrapped(wrapped);
  if (ciphertext !== undefined) {
    const { keyId, blob } = ciphertext;
    const decrypted = await keys.decrypt(tenantId, keyId, blob);
    if (decrypted.kind === 'plaintext') return decrypted.plaintext;
    if (decrypted.kind === 'key-unusable') await requireDeleted(keys, keyId);
    const isLiving = (version: AwsVersion): boolean => version.keyId === keyId;
    if (decrypted.kind === 'key-unknown' && (await versions.of(tenantId)).some(isLiving)) {
      // Made a moment ago.
      const again = await settled(clock, async () => {
        const answer = await keys.decrypt(tenantId, keyId, blob);
        return answer.kind === 'key-unknown' ? undefined : answer;
      });
      return again?.kind === 'plaintext' ? again.plaintext : notYet(keyId);
    }
  }
  if ((await versions.of(tenantId)).length === 0) throw missing(tenantId);
  throw new ServiceError('KMS_UNWRAP_FAILED', `AWS KMS cannot unwrap a key of ${tenantId}.`);
}

/** A key that does nothing because of something else than its deletion may do it again: nothing is lost. */
async function requireDeleted(keys: AwsKeys, keyId: string): Promise<void> {
  const state = (await keys.describe(keyId))?.state ?? 'PendingDeletion';
  if (state === 'PendingDeletion') return;
  throw new ServiceError('KMS_UNAVAILABLE', `The KMS key ${keyId} is ${state}.`);
}

/** Versions are given by CreateAlias, which gives a name once: two processes never answer the same one. */
function createRotate(parts: AwsKmsParts): Kms['rotate'] {
  const inTurn = createTenantTurns();
  return (tenantId) => inTurn(tenantId, () => rotateNow(parts, tenantId));
}

async function rotateNow(parts: AwsKmsParts, tenantId: TenantId): Promise<number> {
  const { keys, versions } = parts;
  const newest = (await versions.of(tenantId)).at(-1);
  // 1. A key. Dies after: it has no alias, seals nothing, and costs until somebody deletes it.
  const keyId = await keys.create(tenantId);
  const first = (newest?.version ?? 0) + 1;
  for (let version = first; version < first + namesMax; version += 1) {
    // 2. Its name. Dies after: the version is there and harms nothing.
    if (await isNamed(parts, tenantId, { version, keyId })) {
      versions.remember(tenantId, { version, keyId });
      return version;
    }
  }
  throw new ServiceError(
    'KMS_UNAVAILABLE',
    `AWS KMS has ${namesMax} versions of tenant ${tenantId} that it does not list yet.`,
  );
}

/** Names to try: others rotate the same tenant, or AWS does not list yet what was made before. */
const namesMax = 20;

async function isNamed(
  { keys, clock }: AwsKmsParts,
  tenantId: TenantId,
  named: AwsVersion,
): Promise<boolean> {
  const answer = await settled(clock, async () => {
    const said = await keys.name(tenantId, named);
    return said === 'key-unknown' ? undefined : said;
  });
  if (answer === undefined) return notYet(named.keyId);
  if (answer === 'named') return true;
  // The SDK repeats a request whose answer was lost: the name may be taken by this very key. A second name of one key
  // would have it destroyed as its own older version.
  const target = await settled(clock, () => keys.keyIdOf(tenantId, named.version));
  return (target ?? notYet(named.keyId)) === named.keyId;
}

async function destroyBefore(
  parts: AwsKmsParts,
  tenantId: TenantId,
  version: number,
): Promise<void> {
  const living = await parts.versions.of(tenantId);
  const newest = living.at(-1);
  if (newest === undefined) throw missing(tenantId);
  if (version > newest.version) {
    throw new RangeError(`the newest KMS key version ${newest.version} must stay`);
  }
  const kept = new Set(living.filter((each) => each.version >= version).map(({ keyId }) => keyId));
  const older = living.filter((each) => each.version < version);
  if (older.some(({ keyId }) => kept.has(keyId))) {
    throw new ServiceError(
      'KMS_MISCONFIGURED',
      `Two aliases of tenant ${tenantId} name one KMS key; nothing was destroyed: find out who made them.`,
    );
  }
  for (const each of older) await destroy(parts, tenantId, each);
}

/** Dies in between: the repeat finds the alias, and the key that is to be deleted already. */
async function destroy(
  { keys, clock }: AwsKmsParts,
  tenantId: TenantId,
  { version, keyId }: AwsVersion,
): Promise<void> {
  // A key that AWS does not know although its alias is there is waited for: it may have been made a moment ago. What it
  // still does not know then was deleted long ago.
  await settled(clock, async () => {
    const answer = await keys.scheduleDeletion(keyId);
    return answer === 'key-unknown' ? undefined : answer;
  });
  await keys.unname(tenantId, version);
}

async function destroyTenant(parts: AwsKmsParts, tenantId: TenantId): Promise<void> {
  const { versions } = parts;
  const destroyed = new Set<string>();
  for (let round = 1; round <= roundsMax; round += 1) {
    // AWS may go on listing what was just destroyed. Others are of a process that rotated at the same time.
    const living = (await versions.of(tenantId)).filter(({ keyId }) => !destroyed.has(keyId));
    if (living.length === 0) {
      versions.forget(tenantId);
      return;
    }
    for (const each of living) {
      await destroy(parts, tenantId, each);
      destroyed.add(each.keyId);
    }
  }
  throw new ServiceError(
    'KMS_UNAVAILABLE',
    `AWS KMS has ever new keys of tenant ${tenantId}, which is to be destroyed.`,
  );
}

const roundsMax = 5;

function missing(tenantId: TenantId): ServiceError {
  return new ServiceError('KMS_KEY_MISSING', `AWS KMS has no key for tenant ${tenantId}.`);
}

function notYet(keyId: string): never {
  throw new ServiceError('KMS_UNAVAILABLE', `AWS KMS does not know its key ${keyId} yet.`);
}
