import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { LocalVault } from './vault.ts';

const policyFile = new URL('../vault/keys-policy.hcl', import.meta.url);

/** Sets a fresh Vault up as docs/operators/vault.md says; answers the variables by which `keys` logs in. */
export async function provisionVault(vault: LocalVault): Promise<Record<string, string>> {
  const ask = async (method: string, apiPath: string, body?: unknown): Promise<unknown> => {
    const answer = await vault.api(method, apiPath, body);
    if (answer.status < 300) return answer.body;
    throw new Error(`Vault answered ${answer.status} to ${method} ${apiPath}`);
  };
  await ask('POST', 'sys/mounts/transit', { type: 'transit' });
  await ask('POST', 'transit/config/keys', { disable_upsert: true });
  const policy = readFileSync(policyFile, 'utf8');
  await ask('PUT', 'sys/policies/acl/lethe-keys', { policy });
  await ask('POST', 'sys/auth/approle', { type: 'approle' });
  const role = 'auth/approle/role/lethe-keys';
  const terms = { token_policies: ['lethe-keys'], token_ttl: '1h', token_max_ttl: '24h' };
  await ask('POST', role, terms);
  const files = {
    'role-id': fieldOf(await ask('GET', `${role}/role-id`), 'role_id'),
    'secret-id': fieldOf(await ask('POST', `${role}/secret-id`), 'secret_id'),
  };
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(path.join(vault.folder, name), `${value}\n`, { mode: 0o600 });
  }
  return {
    LETHE_KEYS_KMS: 'vault',
    LETHE_KEYS_VAULT_ADDRESS: vault.address,
    LETHE_KEYS_VAULT_AUTH: 'approle',
    LETHE_KEYS_VAULT_ROLE_ID_FILE: path.join(vault.folder, 'role-id'),
    LETHE_KEYS_VAULT_SECRET_ID_FILE: path.join(vault.folder, 'secret-id'),
  };
}

function fieldOf(body: unknown, name: string): string {
  const { data } = body as { readonly data: Readonly<Record<string, unknown>> };
  const value = data[name];
  if (typeof value !== 'string') throw new Error(`Vault answered no ${name}`);
  return value;
}
