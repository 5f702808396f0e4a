import { createSecretKey } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { unwrapBytes, wrapBytes } from '../hierarchy/authenticated-wrap.ts';
import {
  type Keyring,
  readKeyringFile,
  type TenantVersions,
  writeKeyringFile,
} from './keyring-file.ts';
import type { Kms } from './port.ts';

export interface KeyringKmsOptions {
  readonly path: string;
  readonly randomBytes: RandomBytes;
}

/** Version number as 4 bytes before what was wrapped. */
const versionBytes = 4;

/**
 * The embedded KMS: a keyring file of mode 0600 that one process uses at a time. The file is read once, here, and made
 * when it does not exist. Throws KEYRING_DAMAGED.
 */
export async function openKeyringKms(options: KeyringKmsOptions): Promise<Kms> {
  const { path, randomBytes } = options;
  let keyring = await readKeyringFile(path);
  if (keyring === undefined) {
    keyring = { tenants: {} };
    await writeKeyringFile(path, keyring);
  }
  const store = createKeyringStore(path, keyring);
  return {
    wrap: async (tenantId, plaintext) => {
      const tenant = requireTenant(store.current(), tenantId);
      const version = tenant.newestVersion;
      const wrappingKey = secretOf(tenant, version);
      if (wrappingKey === undefined) throw missing(tenantId);
      const number = Buffer.alloc(versionBytes);
      number.writeUInt32BE(version);
      const bound = binding(tenantId, version);
      return Buffer.concat([number, wrapBytes(wrappingKey, bound, plaintext, randomBytes)]);
    },
    unwrap: async (tenantId, wrapped) => unwrap(store.current(), tenantId, Buffer.from(wrapped)),
    rotate: (tenantId) => store.change((tenants) => withNewVersion(tenants, tenantId, randomBytes)),
    destroyVersionsBefore: (tenantId, version) =>
      store.change((tenants) => withoutVersionsBefore(tenants, tenantId, version)),
    destroyTenant: (tenantId) => store.change((tenants) => withoutTenant(tenants, tenantId)),
  };
}

type Tenants = Keyring['tenants'];

interface Change<Answer> {
  readonly tenants: Tenants;
  readonly answer: Answer;
}

interface KeyringStore {
  current(): Keyring;
  /** One change at a time; memory follows the file, so that nothing is wrapped with a version that a crash takes back. */
  change<Answer>(decide: (tenants: Tenants) => Change<Answer>): Promise<Answer>;
}

function createKeyringStore(path: string, initial: Keyring): KeyringStore {
  let keyring = initial;
  let last: Promise<unknown> = Promise.resolve();
  return {
    current: () => keyring,
    change: async (decide) => {
      const before = last;
      const turn = Promise.withResolvers<void>();
      last = turn.promise;
      await before;
      try {
        const { tenants, answer } = decide(keyring.tenants);
        if (tenants !== keyring.tenants) {
          await writeKeyringFile(path, { tenants });
          keyring = { tenants };
        }
        return answer;
      } finally {
        turn.resolve();
      }
    },
  };
}

function withNewVersion(
  tenants: Tenants,
  tenantId: TenantId,
  randomBytes: RandomBytes,
): Change<number> {
  const tenant = tenantOf(tenants, tenantId);
  const newestVersion = (tenant?.newestVersion ?? 0) + 1;
  const versions = { ...tenant?.versions, [newestVersion]: randomBytes(32).toString('base64') };
  return {
    tenants: { ...tenants, [tenantId]: { newestVersion, versions } },
    answer: newestVersion,
  };
}

function withoutVersionsBefore(
  tenants: Tenants,
  tenantId: TenantId,
  version: number,
): Change<void> {
  const tenant = requireTenant({ tenants }, tenantId);
  if (version > tenant.newestVersion) {
    throw new RangeError(`the newest KMS key version ${tenant.newestVersion} must stay`);
  }
  const all = Object.entries(tenant.versions);
  const kept = all.filter(([number]) => Number(number) >= version);
  if (kept.length === all.length) return { tenants, answer: undefined };
  const versions = Object.fromEntries(kept);
  return { tenants: { ...tenants, [tenantId]: { ...tenant, versions } }, answer: undefined };
}

function withoutTenant(tenants: Tenants, tenantId: TenantId): Change<void> {
  if (!Object.hasOwn(tenants, tenantId)) return { tenants, answer: undefined };
  const kept = Object.entries(tenants).filter(([id]) => id !== tenantId);
  return { tenants: Object.fromEntries(kept), answer: undefined };
}

function unwrap(keyring: Keyring, tenantId: TenantId, wrapped: Buffer): Buffer {
  const tenant = requireTenant(keyring, tenantId);
  const version = wrapped.length < versionBytes ? 0 : wrapped.readUInt32BE();
  const wrappingKey = secretOf(tenant, version);
  const plaintext =
    wrappingKey === undefined
      ? undefined
      : unwrapBytes(wrappingKey, binding(tenantId, version), wrapped.subarray(versionBytes));
  if (plaintext === undefined) {
    throw new ServiceError('KMS_UNWRAP_FAILED', `The keyring cannot unwrap a key of ${tenantId}.`);
  }
  return plaintext;
}

function requireTenant(keyring: Keyring, tenantId: TenantId): TenantVersions {
  const tenant = tenantOf(keyring.tenants, tenantId);
  if (tenant === undefined) throw missing(tenantId);
  return tenant;
}

// "constructor" is a valid tenant id.
function tenantOf(tenants: Tenants, tenantId: TenantId): TenantVersions | undefined {
  return Object.hasOwn(tenants, tenantId) ? tenants[tenantId] : undefined;
}

function missing(tenantId: TenantId): ServiceError {
  return new ServiceError('KMS_KEY_MISSING', `The keyring has no key for tenant ${tenantId}.`);
}

function secretOf(tenant: TenantVersions, version: number) {
  const secret = tenant.versions[String(version)];
  return secret === undefined ? undefined : createSecretKey(Buffer.from(secret, 'base64'));
}

function binding(tenantId: TenantId, version: number): Buffer {
  return Buffer.from(JSON.stringify(['lethe.keyring.v1', tenantId, version]));
}
