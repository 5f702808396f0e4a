import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import type { ServiceName } from '@lethe/proto/access.ts';

/** The claims that the command line's tokens have. */
const tokenClaims = { LETHE_TOKEN_ISSUER: 'lethe-standalone', LETHE_TOKEN_AUDIENCE: 'lethe' };

/** A private authority, a certificate for each service, the keys of tokens and certificates. */
export function writeIdentities(folder: string) {
  const authority = createCertificateAuthority('Lethe local authority');
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const authorityFile = write('authority.pem', authority.certificate);
  const issuer = signingKey();
  write('issuer.jwk', issuer.jwk);
  const issuerFile = write('issuer.pem', issuer.publicPem);
  const signing = signingKey();
  write('certificate-signing.jwk', signing.jwk);
  write('certificate-key.pem', signing.publicPem);
  mkdirSync(path.join(folder, 'tls'));
  const env = (name: ServiceName): Record<string, string> => {
    const names = { dnsNames: ['localhost'], ips: ['127.0.0.1'] };
    const issued = authority.issue({ uris: [identityOf(name)], ...names });
    const certificateFile = write(`tls/${name}.pem`, issued.certificate);
    const privateKeyFile = write(`tls/${name}.key`, issued.privateKey);
    const internal = {
      LETHE_INTERNAL_CERTIFICATE_FILE: certificateFile,
      LETHE_INTERNAL_PRIVATE_KEY_FILE: privateKeyFile,
      LETHE_INTERNAL_AUTHORITY_FILE: authorityFile,
    };
    if (name === 'keys') return internal;
    return {
      ...internal,
      ...tokenClaims,
      LETHE_PUBLIC_CERTIFICATE_FILE: certificateFile,
      LETHE_PUBLIC_PRIVATE_KEY_FILE: privateKeyFile,
      LETHE_TOKEN_PUBLIC_KEY_FILE: issuerFile,
      LETHE_TOKEN_ALGORITHMS: 'EdDSA',
    };
  };
  return { authorityPem: authority.certificate, env };
}

function signingKey(): { readonly jwk: string; readonly publicPem: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    jwk: JSON.stringify(privateKey.export({ format: 'jwk' })),
    publicPem: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
  };
}
