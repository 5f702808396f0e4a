import { importJWK, SignJWT, type CryptoKey } from 'jose';
import { z } from 'zod';
import type { Role } from '@lethe/proto/access.ts';
import { CliError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import type { CliClock } from '../surroundings.ts';
import { dataFiles, parseJsonFile, readIfThere } from './data-files.ts';

/** For whom and for what a token speaks. */
export interface TokenWish {
  /** Undefined for what is no tenant's business. */
  readonly tenantId: string | undefined;
  readonly roles: readonly Role[];
}

/** The longest life that any server takes, seconds. */
export const ttlMaxS = 3600;

/** Whoever holds the issuer's private key makes access tokens; standalone keeps it in DATA/issuer.jwk. */
export interface Issuer {
  mint(wish: TokenWish, ttlS: number): Promise<string>;
}

const issuerSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().min(1),
  d: z.string().min(1),
  kid: z.string().optional(),
});

/** Undefined when the folder has no issuer key; throws a usage error when it has a damaged one. */
export async function readIssuer(dataFolder: string, clock: CliClock): Promise<Issuer | undefined> {
  const file = dataFiles(dataFolder).issuer;
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  const jwk = parseJsonFile(file, text, issuerSchema);
  const signingKey = await importSigningKey(jwk, file);
  return {
    mint: async ({ tenantId, roles }, ttlS) => {
      const nowS = Math.floor(clock.nowMs() / 1000);
      return await new SignJWT({ roles, ...(tenantId === undefined ? {} : { tenant: tenantId }) })
        .setProtectedHeader({ alg: 'EdDSA', ...(jwk.kid === undefined ? {} : { kid: jwk.kid }) })
        .setIssuer('lethe-standalone')
        .setAudience('lethe')
        .setSubject('lethe-cli')
        .setIssuedAt(nowS)
        .setExpirationTime(nowS + ttlS)
        .sign(signingKey);
    },
  };
}

async function importSigningKey(
  { kid, ...jwk }: z.infer<typeof issuerSchema>,
  file: string,
): Promise<CryptoKey | Uint8Array> {
  try {
    return await importJWK({ ...jwk, ...(kid === undefined ? {} : { kid }) }, 'EdDSA');
  } catch (error) {
    throw new CliError(exitCodes.usage, `The file ${file} holds no usable Ed25519 key.`, {
      next: 'Restore it from a copy of the data folder.',
      cause: error,
    });
  }
}
