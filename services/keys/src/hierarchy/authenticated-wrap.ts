import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import type { RandomBytes } from '@lethe/platform/lifecycle/clock.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** How many bytes a wrap adds: nonce and tag. */
export const wrapOverheadBytes = nonceBytes + tagBytes;

/** AES-256-GCM of `plaintext`, bound to `binding`: nonce, ciphertext, tag. */
export function wrapBytes(
  wrappingKey: KeyObject,
  binding: Uint8Array,
  plaintext: Uint8Array,
  randomBytes: RandomBytes,
): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, wrappingKey, nonce, { authTagLength: tagBytes });
  cipher.setAAD(binding);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext, or undefined when key, binding or bytes are not those of the wrap. */
export function unwrapBytes(
  wrappingKey: KeyObject,
  binding: Uint8Array,
  wrapped: Uint8Array,
): Buffer | undefined {
  if (wrapped.length < wrapOverheadBytes) return undefined;
  const nonce = wrapped.subarray(0, nonceBytes);
  const decipher = createDecipheriv(algorithm, wrappingKey, nonce, { authTagLength: tagBytes });
  decipher.setAAD(binding);
  decipher.setAuthTag(wrapped.subarray(wrapped.length - tagBytes));
  const ciphertext = wrapped.subarray(nonceBytes, wrapped.length - tagBytes);
  const plaintext = decipher.update(ciphertext);
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    // final() throws for this one reason: the tag does not fit. The caller says what that means where it stands.
    plaintext.fill(0);
    return undefined;
  }
}
