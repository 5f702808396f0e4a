import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { Container } from './kube-objects.ts';

const mountRoot = '/etc/lethe/';

/** The environment of a container with its files below a folder, each with content of its kind. */
export function environmentOf(
  { env }: Container,
  service: ServiceName,
  folder: string,
): Record<string, string> {
  const contents = contentsFor(service);
  const entries = (env ?? []).map(({ name, value }) => {
    // What only the cluster knows, such as the name of the pod.
    if (value === undefined) return [name, 'known-to-the-cluster'] as const;
    if (!value.startsWith(mountRoot)) return [name, value] as const;
    const file = path.join(folder, value.slice(mountRoot.length));
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, contents.get(path.basename(file)) ?? 'a secret\n');
    return [name, file] as const;
  });
  return Object.fromEntries(entries);
}

function contentsFor(service: ServiceName): ReadonlyMap<string, string> {
  const authority = createCertificateAuthority('Lethe chart tests');
  const issued = authority.issue({ uris: [identityOf(service)], dnsNames: ['localhost'] });
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = createPublicKey(privateKey);
  const publicJwk = { ...publicKey.export({ format: 'jwk' }), kid: '1', alg: 'EdDSA' };
  return new Map([
    ['ca.crt', authority.certificate],
    ['tls.crt', issued.certificate],
    ['tls.key', issued.privateKey],
    ['client.crt', issued.certificate],
    ['client.key', issued.privateKey],
    ['jwks.json', JSON.stringify({ keys: [publicJwk] })],
    ['public-key.pem', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['signing.jwk', JSON.stringify(privateKey.export({ format: 'jwk' }))],
    ['headers', 'authorization: Bearer made-up\n'],
  ]);
}
