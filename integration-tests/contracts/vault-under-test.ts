import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { VaultAuth, VaultConfig } from '@lethe/keys/kms/kms-config.ts';
import { openVaultKms, type VaultKms } from '@lethe/keys/kms/vault-kms.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { type LocalVault, startLocalVault } from '../../deploy/local/vault.ts';
import { vaultBinary } from './vault-binary.ts';

/** A running Vault, or undefined where there is none; in CI it is built then, and not having it is a failure. */
export async function openVault(mode: 'dev' | 'raft'): Promise<LocalVault | undefined> {
  const binary = await vaultBinary(process.env['CI'] === 'true');
  if (binary === undefined) {
    console.warn('SKIPPED: no Vault here; LETHE_TOOLS names a folder with it, CI=true builds it');
    return undefined;
  }
  const vault = await startLocalVault({ binary, mode });
  console.log(`    ${vault.version} (${mode})`);
  return vault;
}

export interface TokenTerms {
  readonly ttl: string;
  readonly maxTtl: string;
}

/** A Vault set up as docs/operators/vault.md says, and ways to use and to look at it. */
export interface ProvisionedVault {
  readonly vault: LocalVault;
  readonly config: VaultConfig;
  /** What a login may hold, and for how long; for the next logins. */
  setTokenTerms(terms: TokenTerms, policies?: readonly string[]): Promise<void>;
  /** The same Vault through the login of a service account; `subject` is whom the JWT file names now. */
  kubernetesConfig(subject: string): VaultConfig;
  /** Requests that Vault has audited on a path so far. */
  requestsOn(apiPath: string): number;
  /** Calls as root and expects success. */
  asRoot(method: string, apiPath: string, body?: unknown): Promise<unknown>;
  readonly secretId: string;
}

export const policyFile = new URL('../../deploy/vault/keys-policy.hcl', import.meta.url);
const longTerms: TokenTerms = { ttl: '1h', maxTtl: '24h' };

export async function provision(vault: LocalVault): Promise<ProvisionedVault> {
  const asRoot = async (method: string, apiPath: string, body?: unknown): Promise<unknown> => {
    const answer = await vault.api(method, apiPath, body);
    assert.ok(answer.status < 300, `${method} ${apiPath}: ${JSON.stringify(answer)}`);
    return answer.body;
  };
  const inFolder = (name: string) => path.join(vault.folder, name);
  const auditFile = inFolder('audit.log');
  const audit = { type: 'file', options: { file_path: auditFile } };
  await asRoot('PUT', 'sys/audit/file', audit);
  await asRoot('POST', 'sys/mounts/transit', { type: 'transit' });
  await asRoot('POST', 'transit/config/keys', { disable_upsert: true });
  const policy = readFileSync(policyFile, 'utf8');
  await asRoot('PUT', 'sys/policies/acl/lethe-keys', { policy });
  await asRoot('POST', 'sys/auth/approle', { type: 'approle' });
  const privateKey = await setUpServiceAccounts(asRoot);
  const setTokenTerms: ProvisionedVault['setTokenTerms'] = async (terms, policies) => {
    const token = {
      token_policies: policies ?? ['lethe-keys'],
      token_ttl: terms.ttl,
      token_max_ttl: terms.maxTtl,
    };
    await asRoot('POST', 'auth/approle/role/lethe-keys', token);
    await asRoot('POST', 'auth/kubernetes/role/lethe-keys', { ...serviceAccountRole, ...token });
  };
  await setTokenTerms(longTerms);
  const at = 'auth/approle/role/lethe-keys';
  const roleId = stringOf(await asRoot('GET', `${at}/role-id`), 'role_id');
  const secretId = stringOf(await asRoot('POST', `${at}/secret-id`), 'secret_id');
  writeFileSync(inFolder('role-id'), `${roleId}\n`, { mode: 0o600 });
  writeFileSync(inFolder('secret-id'), `${secretId}\n`, { mode: 0o600 });
  const config = configOf(vault.address, {
    method: 'approle',
    mount: 'approle',
    roleIdFile: inFolder('role-id'),
    secretIdFile: inFolder('secret-id'),
  });
  return {
    vault,
    config,
    setTokenTerms,
    kubernetesConfig: (subject) => {
      const jwtFile = inFolder('jwt');
      writeFileSync(jwtFile, jwtOf(subject, privateKey), { mode: 0o600 });
      const mount = 'kubernetes';
      return configOf(vault.address, { method: 'kubernetes', mount, role: 'lethe-keys', jwtFile });
    },
    requestsOn: (apiPath) => auditedRequests(auditFile, apiPath),
    asRoot,
    secretId,
  };
}

function configOf(address: string, auth: VaultAuth): VaultConfig {
  return {
    address,
    namespace: undefined,
    transitMount: 'transit',
    keyPrefix: 'lethe-',
    auth,
    timeoutMs: 5_000,
  };
}

const serviceAccountRole = {
  role_type: 'jwt',
  user_claim: 'sub',
  bound_audiences: ['vault'],
  bound_subject: 'system:serviceaccount:lethe:keys',
};

/**
 * The Kubernetes login is not in the build that Go modules give. Vault's JWT login answers the same request on the same
 * path; it verifies the service account's token by a public key instead of asking the cluster.
 */
async function setUpServiceAccounts(asRoot: ProvisionedVault['asRoot']): Promise<string> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await asRoot('POST', 'sys/auth/kubernetes', { type: 'jwt' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  await asRoot('POST', 'auth/kubernetes/config', { jwt_validation_pubkeys: [pem] });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function jwtOf(subject: string, privateKey: string): string {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { sub: subject, aud: ['vault'], iat, exp: iat + 600 };
  const encoded = [{ alg: 'ES256', typ: 'JWT' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signed = encoded.join('.');
  const signature = sign('sha256', Buffer.from(signed), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}

function auditedRequests(file: string, apiPath: string): number {
  if (!existsSync(file)) return 0;
  // Behind the last line feed is a line that Vault is writing just now, or nothing.
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.filter((line) => {
    const { type, request } = JSON.parse(line) as {
      readonly type: string;
      readonly request?: { readonly path?: string };
    };
    return type === 'request' && request?.path === apiPath;
  }).length;
}

export function dataOf(body: unknown): Record<string, unknown> {
  const { data } = body as { readonly data: Record<string, unknown> };
  return data;
}

function stringOf(body: unknown, name: string): string {
  const value = dataOf(body)[name];
  assert.ok(typeof value === 'string');
  return value;
}

/** Opens the adapter and keeps what it logs. */
export function createOpener() {
  const opened: VaultKms[] = [];
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'keys', level: 'debug', destination });
  return {
    lines,
    open: async (config: VaultConfig): Promise<VaultKms> => {
      const kms = await openVaultKms(config, { clock: systemClock, logger });
      opened.push(kms);
      return kms;
    },
    closeAll: async (): Promise<void> => {
      for (const kms of opened.splice(0)) await kms.close();
    },
  };
}

export const hasReason = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof ServiceError, String(error));
  assert.equal(error.reason, reason, error.message);
  return true;
};
