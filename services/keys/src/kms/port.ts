import type { TenantId } from '@lethe/platform/ids/ids.ts';

/**
 * The key management system: one KMS key per tenant, with versions. It wraps tenant keys and nothing else, so that ten
 * million subjects cost rows and not KMS keys. Every adapter passes `kmsContract` (testing/).
 * Throws KMS_UNAVAILABLE when it cannot be reached, KMS_SEALED while it is sealed, KMS_ACCESS_DENIED when it refuses
 * (all three may pass by themselves), and KMS_MISCONFIGURED when its settings break a promise made here.
 */
export interface Kms {
  /**
   * Wraps with the newest version of the tenant's KMS key. Throws KMS_KEY_MISSING when the tenant has none; it never
   * makes one by itself, or a destroyed tenant would come back.
   */
  wrap(tenantId: TenantId, plaintext: Uint8Array): Promise<Buffer>;
  /**
   * Unwraps what any living version of this tenant's key has wrapped. Throws KMS_KEY_MISSING when the tenant has no key
   * and KMS_UNWRAP_FAILED for a destroyed version, another tenant's bytes, or changed ones.
   */
  unwrap(tenantId: TenantId, wrapped: Uint8Array): Promise<Buffer>;
  /**
   * Adds a version, which wraps from now on, and answers its number; the first call for a tenant makes its key with
   * version 1. A call that is repeated because its answer was lost adds one more version, which harms nothing.
   */
  rotate(tenantId: TenantId): Promise<number>;
  /**
   * Destroys every version below `version`: what they wrapped is unreadable for ever. The newest version cannot be
   * destroyed this way (RangeError). Idempotent.
   */
  destroyVersionsBefore(tenantId: TenantId, version: number): Promise<void>;
  /** Destroys all versions. Idempotent, also for a tenant that never had a key. */
  destroyTenant(tenantId: TenantId): Promise<void>;
}
