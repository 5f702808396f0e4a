import { z } from 'zod';
import { parseEnvironment } from '../config/parse-environment.ts';
import { configInvalid } from '../config/parse-together.ts';

/** Whose access tokens a public port takes. */
export interface TokenConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly keys: TokenKeys;
}

/** Where the issuer's public keys are. */
export type TokenKeys =
  | { readonly kind: 'jwks-url'; readonly url: URL }
  /** Read again when it changes. */
  | { readonly kind: 'jwks-file'; readonly file: string }
  /** PEM, of the one algorithm; read again when it changes. */
  | { readonly kind: 'public-key-file'; readonly file: string };

/** Asymmetric ones alone: with a shared secret every verifier could make tokens. */
const algorithms = [
  'EdDSA',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

const algorithmList = z
  .string()
  .default('EdDSA,ES256,RS256')
  .refine((text) => text.split(',').every((name) => algorithms.includes(name)), {
    error: `must be a list of ${algorithms.join(', ')}`,
  });

export const tokenSettings = z.object({
  LETHE_TOKEN_ISSUER: z
    .string()
    .min(1)
    .describe('The "iss" that an access token must have, exactly.'),
  LETHE_TOKEN_AUDIENCE: z
    .string()
    .min(1)
    .default('lethe')
    .describe('The "aud" that an access token must have.'),
  LETHE_TOKEN_ALGORITHMS: algorithmList.describe(
    'Signature algorithms that are taken, separated by commas; with a public key file exactly one.',
  ),
  LETHE_TOKEN_JWKS_URL: z
    .string()
    .refine(isSafeUrl, { error: 'must be an https URL; http is for loopback alone' })
    .optional()
    .describe("The issuer's JWKS. Set this one, or one of the two files."),
  LETHE_TOKEN_JWKS_FILE: z.string().optional().describe("The issuer's JWKS as a file."),
  LETHE_TOKEN_PUBLIC_KEY_FILE: z
    .string()
    .optional()
    .describe("The issuer's public key as a PEM file (SubjectPublicKeyInfo)."),
});

/** Throws CONFIG_INVALID with every broken setting. */
export function parseTokenConfig(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
): TokenConfig {
  const read = parseEnvironment(service, tokenSettings, env);
  const found: TokenKeys[] = [];
  if (read.LETHE_TOKEN_JWKS_URL !== undefined) {
    found.push({ kind: 'jwks-url', url: new URL(read.LETHE_TOKEN_JWKS_URL) });
  }
  if (read.LETHE_TOKEN_JWKS_FILE !== undefined) {
    found.push({ kind: 'jwks-file', file: read.LETHE_TOKEN_JWKS_FILE });
  }
  if (read.LETHE_TOKEN_PUBLIC_KEY_FILE !== undefined) {
    found.push({ kind: 'public-key-file', file: read.LETHE_TOKEN_PUBLIC_KEY_FILE });
  }
  const [keys, ...others] = found;
  if (keys === undefined || others.length > 0) {
    const description =
      'set exactly one of this, LETHE_TOKEN_JWKS_FILE and LETHE_TOKEN_PUBLIC_KEY_FILE';
    throw configInvalid(service, [{ field: 'LETHE_TOKEN_JWKS_URL', description }]);
  }
  const taken = read.LETHE_TOKEN_ALGORITHMS.split(',');
  if (keys.kind === 'public-key-file' && taken.length !== 1) {
    const description = 'must name the one algorithm of LETHE_TOKEN_PUBLIC_KEY_FILE';
    throw configInvalid(service, [{ field: 'LETHE_TOKEN_ALGORITHMS', description }]);
  }
  return Object.freeze({
    issuer: read.LETHE_TOKEN_ISSUER,
    audience: read.LETHE_TOKEN_AUDIENCE,
    algorithms: taken,
    keys,
  });
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username + password !== '') return false;
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname === '127.0.0.1';
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}
