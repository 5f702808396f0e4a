import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { CertificateSigner } from '@lethe/privacy/certificate/signer.ts';

/**
 * Signs in this thread, where `jose` would ask another one and so let real time decide. The signature is another in
 * every process of Node; nothing that a run decides depends on it.
 */
export function createSynchronousSigner(): CertificateSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return {
    keyId: createHash('sha256').update(publicKeyPem).digest('base64url'),
    publicKeyPem,
    sign: async (payload) => {
      const head = Buffer.from(JSON.stringify({ alg: 'EdDSA' })).toString('base64url');
      const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
      const signature = sign(null, Buffer.from(`${head}.${body}`), privateKey);
      return `${head}.${body}.${signature.toString('base64url')}`;
    },
  };
}
