import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { mintOf } from '../harness/access-tokens.ts';
import type { ClusterSystems } from './systems.ts';

/** Name, and entries with their text. */
export type ClusterSecrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * What docs/operators/kubernetes.md asks for but `lethe-test`, of one authority. The key of the issuer, by which tokens are
 * made, that of certificates and the authority lie in `folder`.
 */
export function issueSecrets(
  systems: ClusterSystems,
  namespace: string,
  release: string,
  folder: string,
): ClusterSecrets {
  const { authority, passwords } = systems;
  const ca = { 'ca.crt': authority.certificate };
  const pair = (wish: Parameters<typeof authority.issue>[0]) => {
    const { certificate, privateKey } = authority.issue(wish);
    return { 'tls.crt': certificate, 'tls.key': privateKey };
  };
  const logins = Object.fromEntries(passwords);
  const internal = serviceNames.map((name): [string, Record<string, string>] => [
    `lethe-${name}-internal`,
    { ...pair({ uris: [identityOf(name)], dnsNames: [`${release}-${name}`] }), ...ca },
  ]);
  const names = serviceNames.flatMap((name) => [
    `${release}-${name}`,
    `${release}-${name}.${namespace}.svc`,
  ]);
  const issuer = ed25519();
  writeFileSync(path.join(folder, 'issuer.jwk'), issuer.jwk, { mode: 0o600 });
  writeFileSync(path.join(folder, 'authority.pem'), authority.certificate);
  const signing = ed25519();
  writeFileSync(path.join(folder, 'certificate-key.pem'), signing.publicPem);
  return {
    ...Object.fromEntries(internal),
    // "localhost" for the path router, which stands where an ingress would.
    'lethe-public-tls': pair({ dnsNames: [...names, 'localhost'] }),
    'lethe-postgresql': { ...logins, ...ca },
    'lethe-kafka': { ...logins, 'ca.crt': systems.kafkaAuthority },
    'lethe-clickhouse': { password: systems.clickHousePassword, ...ca },
    'lethe-vault': { 'role-id': systems.roleId, 'secret-id': systems.secretId, ...ca },
    'lethe-token-issuer': { 'public-key.pem': issuer.publicPem, 'jwks.json': issuer.jwks },
    'lethe-certificate-signing': { 'signing.jwk': signing.jwk },
  };
}

/** `lethe-test`, for `helm test`, of what `issueSecrets` left in `folder`: tokens for a tenant that nobody has registered. */
export function testSecret(folder: string) {
  const issuer = mintOf(folder);
  const roles = ['writer', 'reader', 'privacy-officer'];
  return {
    token: issuer.mint({ tenant: 'helm-test', roles, ttlS: 3_600 }),
    'admin-token': issuer.mint({ roles: ['platform-admin'], ttlS: 3_600 }),
    'certificate-key.pem': readFileSync(path.join(folder, 'certificate-key.pem'), 'utf8'),
    'ca.crt': readFileSync(path.join(folder, 'authority.pem'), 'utf8'),
  };
}

/** As `kubectl apply` takes them. */
export function secretObjects(secrets: ClusterSecrets, namespace: string): string {
  const items = Object.entries(secrets).map(([name, stringData]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData,
  }));
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

function ed25519() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    jwk: JSON.stringify(privateKey.export({ format: 'jwk' })),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwks: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'EdDSA' }] }),
  };
}
