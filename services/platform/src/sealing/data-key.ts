import { createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';

/** A data key whose id is a commitment to it; docs/sealing-format.md. */
export interface DataKey {
  /** 16 bytes: HKDF-SHA-256(data key, no salt, info "commit"). */
  readonly keyId: Buffer;
  /** AES-256. */
  readonly secret: KeyObject;
}

/** The first 16 bytes of HKDF-SHA-256 over the data key with info "commit" and an empty salt. */
export function commitmentOf(secretBytes: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secretBytes, new Uint8Array(0), 'commit', 16));
}

/**
 * Wraps 32 secret bytes. With `expectedKeyId` the commitment is verified, as on every lease: a box must not open
 * under two keys. Throws KEY_COMMITMENT_MISMATCH.
 */
export function createDataKey(secretBytes: Uint8Array, expectedKeyId?: Uint8Array): DataKey {
  if (secretBytes.length !== 32) throw new RangeError('a data key has 32 bytes');
  const keyId = commitmentOf(secretBytes);
  if (
    expectedKeyId !== undefined &&
    (expectedKeyId.length !== keyId.length || !timingSafeEqual(expectedKeyId, keyId))
  ) {
    throw new ServiceError('KEY_COMMITMENT_MISMATCH');
  }
  return { keyId, secret: createSecretKey(Buffer.from(secretBytes)) };
}
