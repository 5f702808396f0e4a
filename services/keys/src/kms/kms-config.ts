import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';
import { type AwsKmsConfig, parseAwsKmsConfig } from './aws-kms-config.ts';
import { isSafeAddress, safeAddressRule } from './safe-address.ts';

/** How `keys` proves to Vault who it is. Files are read at each login, so that what lies in them may be replaced. */
export type VaultAuth =
  | {
      readonly method: 'approle';
      readonly mount: string;
      readonly roleIdFile: string;
      readonly secretIdFile: string;
    }
  | {
      readonly method: 'kubernetes';
      readonly mount: string;
      readonly role: string;
      readonly jwtFile: string;
    }
  /** A token that something else keeps alive, such as Vault Agent; it is neither renewed nor revoked here. */
  | { readonly method: 'token-file'; readonly tokenFile: string };

export interface VaultConfig {
  /** `https://host:port`, without a path; plain http on loopback alone. */
  readonly address: string;
  /** Vault Enterprise and OpenBao: the namespace of the mounts. */
  readonly namespace: string | undefined;
  /** Where the Transit engine is mounted. */
  readonly transitMount: string;
  /** Before the tenant id in the name of each tenant's key. */
  readonly keyPrefix: string;
  readonly auth: VaultAuth;
  /** How long one attempt of a request may take, milliseconds; there are at most three. */
  readonly timeoutMs: number;
}

/** Which KMS holds the tenants' keys; the keyring's path comes from whoever owns the data folder. */
export type KmsConfig =
  | { readonly kind: 'keyring' }
  | { readonly kind: 'vault'; readonly vault: VaultConfig }
  | { readonly kind: 'aws'; readonly aws: AwsKmsConfig };

const mount = z
  .string()
  .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, 'must be a mount path such as transit');
const file = z.string().startsWith('/', 'must be an absolute path');

/** The variables, with their meaning. */
export const kindSchema = z.object({
  LETHE_KEYS_KMS: z
    .enum(['keyring', 'vault', 'aws'])
    .default('keyring')
    .describe('Which KMS wraps the tenant keys; a process of its own takes vault or aws.'),
});

/** Those of Vault. */
export const vaultSchema = z.object({
  // The token and the plaintext tenant keys travel there.
  LETHE_KEYS_VAULT_ADDRESS: z
    .string()
    .refine(isSafeAddress, { message: safeAddressRule })
    .describe('Vault or OpenBao, https://host[:port].'),
  LETHE_KEYS_VAULT_NAMESPACE: mount.optional().describe('The namespace of the mounts.'),
  LETHE_KEYS_VAULT_TRANSIT_MOUNT: mount
    .default('transit')
    .describe('Where the Transit engine is mounted.'),
  LETHE_KEYS_VAULT_KEY_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and hyphens')
    .default('lethe-')
    .describe('Before the tenant in the name of each key.'),
  LETHE_KEYS_VAULT_AUTH: z.enum(['approle', 'kubernetes', 'token-file']).describe('How to log in.'),
  LETHE_KEYS_VAULT_AUTH_MOUNT: mount
    .optional()
    .describe('Where the login is mounted; else its name.'),
  LETHE_KEYS_VAULT_ROLE_ID_FILE: file
    .optional()
    .describe('AppRole: a file with the role id, read at each login.'),
  LETHE_KEYS_VAULT_SECRET_ID_FILE: file
    .optional()
    .describe('AppRole: a file with the secret id, read at each login.'),
  LETHE_KEYS_VAULT_ROLE: z.string().min(1).optional().describe('Kubernetes: the role.'),
  LETHE_KEYS_VAULT_JWT_FILE: file
    .default('/var/run/secrets/kubernetes.io/serviceaccount/token')
    .describe("Kubernetes: the service account's token, read at each login."),
  LETHE_KEYS_VAULT_TOKEN_FILE: file.optional().describe('A token that something else keeps alive.'),
  LETHE_KEYS_VAULT_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(30_000)
    .default(3_000)
    .describe('Of one attempt of a request, milliseconds; there are at most three.'),
});

type VaultEnvironment = z.output<typeof vaultSchema>;

/**
 * Pure. `LETHE_KEYS_KMS` says which KMS; the default is the keyring, and then no other variable is looked at.
 * Throws CONFIG_INVALID with every broken setting.
 */
export function parseKmsConfig(env: Readonly<Record<string, string | undefined>>): KmsConfig {
  const { LETHE_KEYS_KMS: kind } = parseEnvironment('keys', kindSchema, env);
  if (kind === 'keyring') return Object.freeze({ kind });
  if (kind === 'aws') return Object.freeze({ kind, aws: parseAwsKmsConfig(env) });
  const parsed = parseEnvironment('keys', vaultSchema, env);
  const vault: VaultConfig = Object.freeze({
    address: new URL(parsed.LETHE_KEYS_VAULT_ADDRESS).origin,
    namespace: parsed.LETHE_KEYS_VAULT_NAMESPACE,
    transitMount: parsed.LETHE_KEYS_VAULT_TRANSIT_MOUNT,
    keyPrefix: parsed.LETHE_KEYS_VAULT_KEY_PREFIX,
    auth: Object.freeze(authOf(parsed)),
    timeoutMs: parsed.LETHE_KEYS_VAULT_TIMEOUT_MS,
  });
  return Object.freeze({ kind, vault });
}

function authOf(parsed: VaultEnvironment): VaultAuth {
  const method = parsed.LETHE_KEYS_VAULT_AUTH;
  const {
    LETHE_KEYS_VAULT_ROLE_ID_FILE: roleIdFile,
    LETHE_KEYS_VAULT_SECRET_ID_FILE: secretIdFile,
    LETHE_KEYS_VAULT_ROLE: role,
    LETHE_KEYS_VAULT_JWT_FILE: jwtFile,
    LETHE_KEYS_VAULT_TOKEN_FILE: tokenFile,
    LETHE_KEYS_VAULT_AUTH_MOUNT: authMount = method,
  } = parsed;
  if (method === 'approle' && roleIdFile !== undefined && secretIdFile !== undefined) {
    return { method, mount: authMount, roleIdFile, secretIdFile };
  }
  if (method === 'kubernetes' && role !== undefined) {
    return { method, mount: authMount, role, jwtFile };
  }
  if (method === 'token-file' && tokenFile !== undefined) return { method, tokenFile };
  throw missingFor(method, parsed);
}

const needed = {
  approle: ['LETHE_KEYS_VAULT_ROLE_ID_FILE', 'LETHE_KEYS_VAULT_SECRET_ID_FILE'],
  kubernetes: ['LETHE_KEYS_VAULT_ROLE'],
  'token-file': ['LETHE_KEYS_VAULT_TOKEN_FILE'],
} as const satisfies Record<VaultAuth['method'], readonly (keyof VaultEnvironment)[]>;

function missingFor(method: VaultAuth['method'], parsed: VaultEnvironment): ServiceError {
  const names: readonly (keyof VaultEnvironment)[] = needed[method];
  const violations = names
    .filter((name) => parsed[name] === undefined)
    .map((field) => ({ field, description: `must be set for the ${method} login` }));
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  const message = `Correct these settings of keys: ${list}`;
  return new ServiceError('CONFIG_INVALID', message, { violations });
}
