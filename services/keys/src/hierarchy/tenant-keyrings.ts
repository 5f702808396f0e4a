import type { Kysely } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import type { Kms } from '../kms/port.ts';
import type { KeysSchema } from '../store/schema.ts';
import {
  findOldestAndNewest,
  findTenant,
  insertTenant,
  StaleKeyring,
  type StoredTenant,
} from '../store/tenants.ts';
import { createTenantKeyring, type TenantKeyring } from './tenant-keyring.ts';

export interface TenantKeyrings {
  /** From memory or, when that is too old, through the KMS. Throws TENANT_UNKNOWN and what the KMS throws. */
  of(tenantId: TenantId): Promise<TenantKeyring>;
  /** Runs `work` with the tenant's keyring, and again with a fresh one while it throws StaleKeyring. */
  use<Answer>(
    tenantId: TenantId,
    work: (keyring: TenantKeyring) => Promise<Answer>,
  ): Promise<Answer>;
  /** Forgets the tenant's keys in memory. */
  forget(tenantId: TenantId): void;
  /**
   * Sees whether the KMS is the one that this store belongs to, by the first and the last tenant; does nothing about one
   * that cannot be reached. Throws KMS_KEY_MISSING, KMS_UNWRAP_FAILED.
   */
  verify(): Promise<void>;
  /** Creates KMS key, tenant key and token key unless they exist. Idempotent, also when called at once. */
  create(tenantId: TenantId, mayReturn: boolean): Promise<void>;
}

export interface TenantKeyringsPorts {
  readonly db: Kysely<KeysSchema>;
  readonly kms: Kms;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /**
   * How long unwrapped tenant keys are used before the KMS is asked again, milliseconds. Without this a KMS that was
   * sealed, or took its right from this service, would be noticed at the next restart only.
   */
  readonly tenantKeyTtlMs: number;
}

interface Loaded {
  readonly keyring: Promise<TenantKeyring>;
  readonly atMs: number;
  readonly atMonotonicMs: number;
}

/** More rotations of one tenant than this during one call are a defect. */
const staleMax = 3;

export function createTenantKeyrings(ports: TenantKeyringsPorts): TenantKeyrings {
  const { clock, tenantKeyTtlMs } = ports;
  const loading = new Map<TenantId, Loaded>();
  // As with leases: over when either clock says so.
  const isFresh = ({ atMs, atMonotonicMs }: Loaded): boolean =>
    clock.nowMs() - atMs < tenantKeyTtlMs && clock.monotonicMs() - atMonotonicMs < tenantKeyTtlMs;
  const of = async (tenantId: TenantId): Promise<TenantKeyring> => {
    const known = loading.get(tenantId);
    if (known !== undefined && isFresh(known)) return known.keyring;
    const load: Loaded = {
      keyring: loadKeyring(ports, tenantId),
      atMs: clock.nowMs(),
      atMonotonicMs: clock.monotonicMs(),
    };
    loading.set(tenantId, load);
    try {
      return await load.keyring;
    } catch (error) {
      if (loading.get(tenantId) === load) loading.delete(tenantId);
      throw error;
    }
  };
  return {
    of,
    use: async (tenantId, work) => {
      for (let attempt = 1; ; attempt += 1) {
        const keyring = await of(tenantId);
        try {
          return await work(keyring);
        } catch (error) {
          if (!(error instanceof StaleKeyring) || attempt === staleMax) throw error;
          loading.delete(tenantId);
        }
      }
    },
    forget: (tenantId) => {
      loading.delete(tenantId);
    },
    verify: async () => {
      try {
        await Promise.all((await findOldestAndNewest(ports.db)).map(of));
      } catch (error) {
        if (!isTransient(error)) throw error;
      }
    },
    create: (tenantId, mayReturn) => createTenant(ports, tenantId, mayReturn),
  };
}

async function loadKeyring(ports: TenantKeyringsPorts, tenantId: TenantId): Promise<TenantKeyring> {
  for (let attempt = 1; ; attempt += 1) {
    const tenant = await requireTenant(ports.db, tenantId);
    try {
      return await unwrapKeyring(ports, tenantId, tenant);
    } catch (error) {
      // A rotation may have destroyed, between the two, what the oldest of the keys was wrapped with.
      const now = await requireTenant(ports.db, tenantId);
      const isOldestGone = now.tenantKeys.at(-1)?.number !== tenant.tenantKeys.at(-1)?.number;
      if (!isOldestGone || attempt === staleMax) throw error;
    }
  }
}

async function requireTenant(db: Kysely<KeysSchema>, tenantId: TenantId): Promise<StoredTenant> {
  const tenant = await findTenant(db, tenantId);
  if (tenant !== undefined) return tenant;
  throw new ServiceError('TENANT_UNKNOWN', `Tenant ${tenantId} is not registered.`);
}

async function unwrapKeyring(
  { kms, randomBytes }: TenantKeyringsPorts,
  tenantId: TenantId,
  tenant: StoredTenant,
): Promise<TenantKeyring> {
  const [first, ...older] = await Promise.all(
    tenant.tenantKeys.map(async ({ number, wrapped }) => ({
      number,
      secretBytes: await kms.unwrap(tenantId, wrapped),
    })),
  );
  if (first === undefined) throw new RangeError('a stored tenant has at least one tenant key');
  return createTenantKeyring({
    tenantId,
    tenantNumber: tenant.tenantNumber,
    tenantKeys: [first, ...older],
    randomBytes,
  });
}

async function createTenant(
  { db, kms, clock, randomBytes }: TenantKeyringsPorts,
  tenantId: TenantId,
  mayReturn: boolean,
): Promise<void> {
  if ((await findTenant(db, tenantId)) !== undefined) return;
  const secretBytes = randomBytes(32);
  // If the process dies after the KMS has a key and before the row stands, the repeat uses that KMS key.
  const wrappedTenantKey = await wrapWithFirstVersion(kms, tenantId, secretBytes);
  const keyring = createTenantKeyring({
    tenantId,
    tenantNumber: 0,
    tenantKeys: [{ number: 1, secretBytes }],
    randomBytes,
  });
  const wrappedTokenKey = keyring.wrap({ what: 'token-key' }, randomBytes(32));
  // Of two calls at once one stores its keys; the other's were never used for anything.
  await insertTenant(db, {
    tenantId,
    mayReturn,
    wrappedTenantKey,
    wrappedTokenKey,
    nowMs: clock.nowMs(),
  });
}

async function wrapWithFirstVersion(
  kms: Kms,
  tenantId: TenantId,
  secretBytes: Uint8Array,
): Promise<Buffer> {
  try {
    return await kms.wrap(tenantId, secretBytes);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.reason !== 'KMS_KEY_MISSING') throw error;
  }
  await kms.rotate(tenantId);
  return kms.wrap(tenantId, secretBytes);
}
