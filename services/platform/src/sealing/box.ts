import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import type { DataKey } from './data-key.ts';

/*
 * Box = format version (1 byte), key id (16), nonce (12), ciphertext, tag (16). AES-256-GCM.
 * Byte by byte with vectors: docs/sealing-format.md.
 */
const formatVersion = 1;
const algorithm = 'aes-256-gcm';
const keyIdBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const keyIdEnd = 1 + keyIdBytes;
const nonceEnd = keyIdEnd + nonceBytes;

/** What a box adds to its plaintext, in bytes. */
export const boxOverheadBytes = nonceEnd + tagBytes;

function tampered(rule: string, cause?: unknown): ServiceError {
  return new ServiceError('TAMPERED', `a box ${rule}`, { cause });
}

/** Encrypts `plaintext` and authenticates it together with `associatedData`. Synchronous. */
export function sealBox(
  dataKey: DataKey,
  associatedData: Uint8Array,
  plaintext: Uint8Array,
  randomBytes: RandomBytes,
): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, dataKey.secret, nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData);
  const box = Buffer.allocUnsafe(boxOverheadBytes + plaintext.length);
  box.writeUInt8(formatVersion, 0);
  box.set(dataKey.keyId, 1);
  box.set(nonce, keyIdEnd);
  box.set(cipher.update(plaintext), nonceEnd);
  cipher.final();
  box.set(cipher.getAuthTag(), nonceEnd + plaintext.length);
  return box;
}

/** The id of the key that a box names, 16 bytes; undefined when the bytes are not a box of a known format. */
export function keyIdOfBox(box: Uint8Array): Buffer | undefined {
  if (box.length < boxOverheadBytes || box[0] !== formatVersion) return undefined;
  return Buffer.from(box.subarray(1, keyIdEnd));
}

/**
 * Decrypts a box. Throws TAMPERED when it is no box, names another key than `dataKey`, or was changed; also when
 * `associatedData` differs from what it was sealed with.
 */
export function openBox(dataKey: DataKey, associatedData: Uint8Array, box: Uint8Array): Buffer {
  const keyId = keyIdOfBox(box);
  if (keyId === undefined) throw tampered('is too short or of an unknown format version');
  if (!keyId.equals(dataKey.keyId)) throw tampered('names another data key than its lease');
  const tagStart = box.length - tagBytes;
  const decipher = createDecipheriv(algorithm, dataKey.secret, box.subarray(keyIdEnd, nonceEnd), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(associatedData);
  decipher.setAuthTag(box.subarray(tagStart));
  const plaintext = decipher.update(box.subarray(nonceEnd, tagStart));
  try {
    decipher.final();
  } catch (error) {
    // Nothing of the plaintext leaves this function unless the tag fits.
    throw tampered('does not open under its header, scope and part list', error);
  }
  return plaintext;
}
