import { createSecretKey, type KeyObject } from 'node:crypto';
import { unwrapBytes, wrapBytes } from '@lethe/keys/hierarchy/authenticated-wrap.ts';
import type { Kms } from '@lethe/keys/kms/port.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';

/** The KMS, which outlives every process of `keys`. */
export interface MemoryKms {
  accessFor(pass: <Result>(label: string, run: () => Result) => Promise<Result>): Kms;
}

/** Keyring semantics in memory, one version a tenant: rotation is not simulated. */
export function createMemoryKms(randomBytes: RandomBytes): MemoryKms {
  const secrets = new Map<TenantId, KeyObject>();
  const secretOf = (tenantId: TenantId): KeyObject => {
    const secret = secrets.get(tenantId);
    if (secret === undefined) throw new ServiceError('KMS_KEY_MISSING', `no key of ${tenantId}`);
    return secret;
  };
  const binding = (tenantId: TenantId): Buffer => Buffer.from(tenantId);
  return {
    accessFor: (pass) => ({
      wrap: async (tenantId, plaintext) =>
        pass('kms wrap', () =>
          wrapBytes(secretOf(tenantId), binding(tenantId), plaintext, randomBytes),
        ),
      unwrap: async (tenantId, wrapped) =>
        pass('kms unwrap', () => {
          const found = unwrapBytes(secretOf(tenantId), binding(tenantId), Buffer.from(wrapped));
          if (found === undefined) throw new ServiceError('KMS_UNWRAP_FAILED', 'another key');
          return found;
        }),
      rotate: async (tenantId) =>
        pass('kms rotate', () => {
          secrets.set(tenantId, secrets.get(tenantId) ?? createSecretKey(randomBytes(32)));
          return 1;
        }),
      destroyVersionsBefore: async () => {},
      destroyTenant: async (tenantId) => pass('kms destroy', () => void secrets.delete(tenantId)),
    }),
  };
}
