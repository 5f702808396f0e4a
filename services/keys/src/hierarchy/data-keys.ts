import { hkdfSync } from 'node:crypto';
import type { Scope } from '@lethe/platform/ids/ids.ts';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { commitmentOf } from '@lethe/platform/sealing/data-key.ts';
import type { WrappedThing } from '../domain/wrapped.ts';
import type { TenantKeyring } from './tenant-keyring.ts';

/** An unwrapped data key. */
export interface OpenedDataKey {
  /** 16 bytes: commits to the secret. */
  readonly keyId: Buffer;
  /** 32 bytes. */
  readonly secretBytes: Buffer;
}

/** Which data key, within a tenant. */
export interface DataKeyPlace {
  readonly scope: Scope;
  readonly incarnation: number;
  readonly generation: number;
}

function thingAt({ scope, incarnation, generation }: DataKeyPlace): WrappedThing {
  return { what: 'data-key', scope, incarnation, generation };
}

/** A data key of random bytes, wrapped and ready to be stored. */
export function makeDataKey(
  keyring: TenantKeyring,
  place: DataKeyPlace,
  randomBytes: RandomBytes,
): { readonly keyId: Buffer; readonly wrapped: Buffer } {
  const secretBytes = randomBytes(32);
  const wrapped = keyring.wrap(thingAt(place), secretBytes);
  const keyId = commitmentOf(secretBytes);
  secretBytes.fill(0);
  return { keyId, wrapped };
}

/** Throws KMS_UNWRAP_FAILED: a row that does not open is lost data, and nothing may be sealed as if it were not. */
export function openDataKey(
  keyring: TenantKeyring,
  place: DataKeyPlace,
  wrapped: Uint8Array,
): OpenedDataKey {
  const secretBytes = keyring.requireUnwrapped(thingAt(place), wrapped);
  return { keyId: commitmentOf(secretBytes), secretBytes };
}

/** The data key if it has this id; undefined for another key and for a row that does not open. */
export function openDataKeyWithId(
  keyring: TenantKeyring,
  place: DataKeyPlace,
  wrapped: Uint8Array,
  keyId: Uint8Array,
): OpenedDataKey | undefined {
  const secretBytes = keyring.unwrap(thingAt(place), wrapped);
  if (secretBytes === undefined) return undefined;
  const found = commitmentOf(secretBytes);
  return found.equals(keyId) ? { keyId: found, secretBytes } : undefined;
}

/**
 * The scope's digest key: HKDF-SHA-256 of the first generation's data key with info "digest". It costs no row, is not
 * rotated with later generations and dies with the scope. Before a first generation is ever destroyed alone (redaction),
 * its digest key has to be stored in a row of its own.
 */
export function digestKeyOf(firstGeneration: OpenedDataKey): Buffer {
  return Buffer.from(
    hkdfSync('sha256', firstGeneration.secretBytes, new Uint8Array(0), 'digest', 32),
  );
}
