import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';
import type { VaultAuth } from './kms-config.ts';
import { readSecretFile } from './secret-file.ts';
import type { VaultAnswer, VaultHttp } from './vault-http.ts';

/** What a login or a renewal answers. */
export interface VaultLease {
  readonly token: string;
  /** Infinity for a token that does not expire, or that something else keeps alive. */
  readonly durationMs: number;
  readonly renewable: boolean;
}

const authSchema = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    lease_duration: z.number().nonnegative(),
    renewable: z.boolean(),
  }),
});

/** Throws KMS_ACCESS_DENIED when Vault refuses or a file cannot be read, and what `send` throws. */
export async function logIn(http: VaultHttp, auth: VaultAuth): Promise<VaultLease> {
  switch (auth.method) {
    case 'token-file': {
      const token = await readSecretFile(auth.tokenFile, 'Vault token');
      return { token, durationMs: Infinity, renewable: false };
    }
    case 'approle': {
      const roleId = await readSecretFile(auth.roleIdFile, 'Vault role id');
      const secretId = await readSecretFile(auth.secretIdFile, 'Vault secret id');
      return await logInWith(http, auth, { role_id: roleId, secret_id: secretId });
    }
    case 'kubernetes': {
      const jwt = await readSecretFile(auth.jwtFile, 'Vault service account token');
      return await logInWith(http, auth, { role: auth.role, jwt });
    }
  }
}

async function logInWith(
  http: VaultHttp,
  { method, mount }: Exclude<VaultAuth, { method: 'token-file' }>,
  body: Readonly<Record<string, string>>,
): Promise<VaultLease> {
  const answer = await http.send({ method: 'POST', path: `auth/${mount}/login`, body });
  const lease = answer.isOk ? leaseOf(answer) : undefined;
  if (lease !== undefined) return lease;
  throw new ServiceError(
    'KMS_ACCESS_DENIED',
    `Vault at ${http.address} refused the ${method} login at auth/${mount} (status ${answer.status}): check its role and what the files hold.`,
  );
}

/** The renewed lease, or undefined when Vault does not renew the token any more. Throws what `send` throws. */
export async function renew(http: VaultHttp, token: string): Promise<VaultLease | undefined> {
  const request = { method: 'POST', path: 'auth/token/renew-self', body: {}, token } as const;
  const answer = await http.send(request);
  const lease = answer.isOk ? leaseOf(answer) : undefined;
  // At the end that renewing cannot pass, Vault rounds what is left down to 0; in a login 0 means for ever.
  return lease?.durationMs === Infinity ? undefined : lease;
}

function leaseOf({ body }: VaultAnswer): VaultLease | undefined {
  const parsed = authSchema.safeParse(body);
  if (!parsed.success) return undefined;
  const { client_token: token, lease_duration: seconds, renewable } = parsed.data.auth;
  return { token, durationMs: seconds === 0 ? Infinity : seconds * 1_000, renewable };
}
