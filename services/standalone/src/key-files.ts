import { createPublicKey } from 'node:crypto';
import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { z } from 'zod';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseJson } from '@lethe/platform/files/parse-json.ts';
import { writeDurably } from '@lethe/platform/files/write-durably.ts';
import { readIfThere } from './data-folder.ts';

const privateJwk = z.looseObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  d: z.string().min(1),
  x: z.string().min(1),
});

/**
 * The Ed25519 key in `file`, made at the first start. `lostWhenRemade` says what a new key would no longer prove.
 * Throws KEYRING_DAMAGED for a file that holds no such key: it is never replaced silently.
 */
export async function openSigningKey(file: string, lostWhenRemade: string): Promise<JWK> {
  const text = await readIfThere(file);
  if (text === undefined) {
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const jwk = await exportJWK(pair.privateKey);
    await writeDurably(file, `${JSON.stringify(jwk)}\n`);
    return jwk;
  }
  const parsed = privateJwk.safeParse(parseJson(text));
  if (!parsed.success) {
    const message = `The key file ${file} is damaged. Restore it from its copy; ${lostWhenRemade}`;
    throw new ServiceError('KEYRING_DAMAGED', message);
  }
  return parsed.data;
}

/** Whether the text of a key file holds such a key. */
export function isSigningKey(text: string): boolean {
  return privateJwk.safeParse(parseJson(text)).success;
}

/** The public half, for verifying signatures. */
export async function publicKeyOf(jwk: JWK): Promise<CryptoKey> {
  const imported = await importJWK(publicJwkOf(jwk), 'EdDSA');
  if (imported instanceof Uint8Array) throw new RangeError('an Ed25519 key is not symmetric');
  return imported;
}

/** SubjectPublicKeyInfo as PEM, for whoever verifies offline. */
export function publicPemOf(jwk: JWK): string {
  return createPublicKey({ key: publicJwkOf(jwk), format: 'jwk' })
    .export({ type: 'spki', format: 'pem' })
    .toString();
}

function publicJwkOf({ kty, crv, x }: JWK): JWK & { kty: string } {
  if (kty === undefined || crv === undefined || x === undefined) {
    throw new RangeError('an Ed25519 JWK has kty, crv and x');
  }
  return { kty, crv, x };
}
