import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CompactSign, type JWK } from 'jose';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';

/** Signs certificates, and says by which key. */
export interface CertificateSigner {
  /** RFC 7638 thumbprint of the public key; the `kid` of every certificate. */
  readonly keyId: string;
  /** SubjectPublicKeyInfo, PEM: all that a verifier needs beside the certificate. */
  readonly publicKeyPem: string;
  /** Compact JWS (RFC 7515, EdDSA) over the payload in the canonical form of RFC 8785. */
  sign(payload: object): Promise<string>;
}

/** From an Ed25519 private JWK. Throws CONFIG_INVALID when it is something else. */
export function createCertificateSigner(privateJwk: JWK): CertificateSigner {
  const { kty, crv, x, d } = privateJwk;
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined || d === undefined) {
    throw new ServiceError('CONFIG_INVALID', 'the certificate signing key must be an Ed25519 JWK');
  }
  const privateKey = createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' });
  const publicKey = createPublicKey(privateKey);
  const publicJwk = { crv, kty, x: publicKey.export({ format: 'jwk' }).x };
  const keyId = createHash('sha256').update(canonicalText(publicJwk)).digest('base64url');
  return {
    keyId,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: async (payload) =>
      new CompactSign(Buffer.from(canonicalText(payload)))
        .setProtectedHeader({ alg: 'EdDSA', kid: keyId, typ: 'lethe-erasure-certificate' })
        .sign(privateKey),
  };
}

function canonicalText(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new RangeError('only JSON has a canonical form');
  return text;
}
