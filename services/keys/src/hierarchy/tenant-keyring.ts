import { createSecretKey, type KeyObject } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { wrapBinding, type WrappedThing } from '../domain/wrapped.ts';
import { unwrapBytes, wrapBytes } from './authenticated-wrap.ts';

/** One tenant's unwrapped tenant keys: the newest, and during a rotation the one before it. */
export interface TenantKeyring {
  readonly tenantId: TenantId;
  readonly tenantNumber: number;
  /** What a transaction compares with its tenant's row: another number there means that this keyring is stale. */
  readonly newestNumber: number;
  /** Under the newest tenant key. */
  wrap(thing: WrappedThing, secretBytes: Uint8Array): Buffer;
  /** Under any of them; undefined when the bytes belong elsewhere or were changed. */
  unwrap(thing: WrappedThing, wrapped: Uint8Array): Buffer | undefined;
  /** As `unwrap`, but a failure is lost data: throws KMS_UNWRAP_FAILED. */
  requireUnwrapped(thing: WrappedThing, wrapped: Uint8Array): Buffer;
  /** Whether the newest tenant key has wrapped it, which is what a rotation counts. */
  isUnderNewest(thing: WrappedThing, wrapped: Uint8Array): boolean;
}

export interface NumberedSecret {
  readonly number: number;
  /** 32 bytes. */
  readonly secretBytes: Uint8Array;
}

export interface TenantKeyringOptions {
  readonly tenantId: TenantId;
  readonly tenantNumber: number;
  /** Newest first. */
  readonly tenantKeys: readonly [NumberedSecret, ...NumberedSecret[]];
  readonly randomBytes: RandomBytes;
}

export function createTenantKeyring(options: TenantKeyringOptions): TenantKeyring {
  const { tenantId, tenantNumber, randomBytes } = options;
  const [first, ...older] = options.tenantKeys;
  const newest: KeyObject = createSecretKey(first.secretBytes);
  const all = [newest, ...older.map(({ secretBytes }) => createSecretKey(secretBytes))];
  const unwrap = (thing: WrappedThing, wrapped: Uint8Array): Buffer | undefined => {
    const binding = wrapBinding(tenantId, thing);
    for (const tenantKey of all) {
      const secretBytes = unwrapBytes(tenantKey, binding, wrapped);
      if (secretBytes !== undefined) return secretBytes;
    }
    return undefined;
  };
  return {
    tenantId,
    tenantNumber,
    newestNumber: first.number,
    wrap: (thing, secretBytes) =>
      wrapBytes(newest, wrapBinding(tenantId, thing), secretBytes, randomBytes),
    unwrap,
    requireUnwrapped: (thing, wrapped) => {
      const secretBytes = unwrap(thing, wrapped);
      if (secretBytes !== undefined) return secretBytes;
      throw new ServiceError(
        'KMS_UNWRAP_FAILED',
        `A ${thing.what} row of tenant ${tenantId} does not open under its tenant keys.`,
      );
    },
    isUnderNewest: (thing, wrapped) =>
      unwrapBytes(newest, wrapBinding(tenantId, thing), wrapped) !== undefined,
  };
}
