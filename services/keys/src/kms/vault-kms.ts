import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import type { VaultConfig } from './kms-config.ts';
import type { Kms } from './port.ts';
import { createTenantTurns } from './tenant-turns.ts';
import { createVaultHttp } from './vault-http.ts';
import { createVaultSession } from './vault-session.ts';
import { createVaultTransit, type TransitKey, type VaultTransit } from './vault-transit.ts';
import { decodeWrapped, encodeWrapped } from './vault-wrapped.ts';

export interface VaultKmsPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The KMS port on Vault or OpenBao; it holds a login, so it has an end. */
export interface VaultKms extends Kms {
  /** Set while the login cannot be kept alive. */
  problem(): string | undefined;
  /** Revokes the login; no call may follow. Idempotent. */
  close(): Promise<void>;
}

/**
 * One derived Transit key per tenant, every wrap bound to its tenant by context. Logs in and checks that Vault makes no
 * keys by itself; a Vault that is away or sealed is no reason to refuse, then the first call checks it.
 * Throws KMS_ACCESS_DENIED and KMS_MISCONFIGURED, saying what to correct.
 */
export async function openVaultKms(config: VaultConfig, ports: VaultKmsPorts): Promise<VaultKms> {
  const { address, namespace, timeoutMs, auth, transitMount, keyPrefix } = config;
  const { clock, logger } = ports;
  const http = createVaultHttp({ address, namespace, timeoutMs, clock });
  const session = createVaultSession({ http, auth, clock, logger });
  const transit = createVaultTransit({ session, mount: transitMount, keyPrefix });
  const checked = createUpsertCheck(transit, transitMount);
  try {
    await checked();
  } catch (error) {
    const isWaiting = isTransient(error) && !isRefusal(error);
    if (!isWaiting) {
      await session.close();
      throw error;
    }
    const reason = error instanceof ServiceError ? error.reason : 'KMS_UNAVAILABLE';
    logger.warn({ component: 'vault', address, reason }, 'Vault does not answer yet');
  }
  return {
    wrap: async (tenantId, plaintext) => {
      await checked();
      requireSuitable(await requireKey(transit, tenantId), tenantId);
      return encodeWrapped(await transit.encrypt(tenantId, plaintext));
    },
    unwrap: (tenantId, wrapped) => unwrap(transit, tenantId, wrapped),
    rotate: createRotate(transit),
    destroyVersionsBefore: (tenantId, version) => destroyBefore(transit, tenantId, version),
    destroyTenant: (tenantId) => destroyTenant(transit, tenantId),
    problem: () => session.problem(),
    close: () => session.close(),
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof ServiceError && error.reason === 'KMS_ACCESS_DENIED';
}

/** Passes once; until then each call asks. */
function createUpsertCheck(transit: VaultTransit, mount: string): () => Promise<void> {
  let isChecked = false;
  return async () => {
    if (isChecked) return;
    if (await transit.mayUpsert()) {
      throw new ServiceError(
        'KMS_MISCONFIGURED',
        `Vault would make a destroyed tenant's key anew: run "vault write ${mount}/config/keys disable_upsert=true".`,
      );
    }
    isChecked = true;
  };
}

async function requireKey(transit: VaultTransit, tenantId: TenantId): Promise<TransitKey> {
  const found = await transit.find(tenantId);
  if (found !== undefined) return found;
  throw new ServiceError('KMS_KEY_MISSING', `Vault has no key for tenant ${tenantId}.`);
}

function requireSuitable({ isSuitable }: TransitKey, tenantId: TenantId): void {
  if (isSuitable) return;
  throw new ServiceError(
    'KMS_MISCONFIGURED',
    `Vault's key for tenant ${tenantId} must be aes256-gcm96, derived, not exportable and without plaintext backup: find out who made it.`,
  );
}

async function unwrap(
  transit: VaultTransit,
  tenantId: TenantId,
  wrapped: Uint8Array,
): Promise<Buffer> {
  const ciphertext = decodeWrapped(wrapped);
  const plaintext =
    ciphertext === undefined ? undefined : await transit.decrypt(tenantId, ciphertext);
  if (plaintext !== undefined) return plaintext;
  // Transit says 400 to both; a tenant whose key is gone is another case than bytes that do not fit.
  await requireKey(transit, tenantId);
  throw new ServiceError('KMS_UNWRAP_FAILED', `Vault cannot unwrap a key of ${tenantId}.`);
}

/**
 * One rotation of a tenant at a time in this process, so that the first of them makes the key and no two answer the same
 * version. Two processes may both take the first version for their own, which is the newest then.
 */
function createRotate(transit: VaultTransit): Kms['rotate'] {
  const inTurn = createTenantTurns();
  const rotateNow = async (tenantId: TenantId): Promise<number> => {
    const found = await transit.find(tenantId);
    if (found !== undefined) requireSuitable(found, tenantId);
    const made = found === undefined ? transit.create(tenantId) : transit.rotate(tenantId);
    return (await made).latestVersion;
  };
  return (tenantId) => inTurn(tenantId, () => rotateNow(tenantId));
}

async function destroyBefore(
  transit: VaultTransit,
  tenantId: TenantId,
  version: number,
): Promise<void> {
  const found = await requireKey(transit, tenantId);
  if (version > found.latestVersion) {
    throw new RangeError(`the newest KMS key version ${found.latestVersion} must stay`);
  }
  if (version <= 1 || found.minAvailableVersion >= version) return;
  // 1. Close the versions; this alone could be undone. Dies after: nothing is lost, the repeat goes on with 2.
  await transit.configure(tenantId, {
    min_decryption_version: Math.max(version, found.minDecryptionVersion),
    min_encryption_version: Math.max(version, found.minEncryptionVersion),
  });
  // 2. Destroy them. Dies after: the repeat finds it done.
  await transit.trim(tenantId, version);
  const { minAvailableVersion } = await requireKey(transit, tenantId);
  if (minAvailableVersion >= version) return;
  throw new ServiceError(
    'KMS_MISCONFIGURED',
    `Vault still has versions of the key of tenant ${tenantId} below ${version} after trimming them.`,
  );
}

async function destroyTenant(transit: VaultTransit, tenantId: TenantId): Promise<void> {
  if ((await transit.find(tenantId)) === undefined) return;
  await transit.configure(tenantId, { deletion_allowed: true });
  // Dies here: the key still works, and the repeat deletes it.
  await transit.delete(tenantId);
  if ((await transit.find(tenantId)) === undefined) return;
  throw new ServiceError(
    'KMS_MISCONFIGURED',
    `Vault still has the key of tenant ${tenantId} after deleting it.`,
  );
}
