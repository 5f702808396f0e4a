import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a token says; what is left out is as a server's own `lethe token` makes it. */
export interface TokenClaims {
  readonly tenant?: string | undefined;
  readonly roles: readonly string[];
  readonly iss?: string;
  readonly aud?: string;
  /** Seconds from now; negative has expired. */
  readonly ttlS?: number;
  /** Seconds before now. */
  readonly ageS?: number;
}

/** Makes access tokens, right ones and wrong ones. */
export interface TokenMint {
  mint(claims: TokenClaims): string;
}

/** With the issuer key of a data folder: the tokens that its server takes. */
export function mintOf(dataFolder: string): TokenMint {
  const jwk: unknown = JSON.parse(readFileSync(join(dataFolder, 'issuer.jwk'), 'utf8'));
  return mintWith(createPrivateKey({ key: jwk as JsonWebKeyInput, format: 'jwk' }));
}

/** With a key of nobody's. */
export function foreignMint(): TokenMint {
  return mintWith(generateKeyPairSync('ed25519').privateKey);
}

type JsonWebKeyInput = Extract<Parameters<typeof createPrivateKey>[0], { format: 'jwk' }>['key'];

// Written by hand, so that it can also write what a library would refuse to.
function mintWith(signingKey: KeyObject): TokenMint {
  return {
    mint: ({ ttlS = 900, ageS = 0, iss = 'lethe-standalone', aud = 'lethe', tenant, roles }) => {
      const nowS = Math.floor(Date.now() / 1000);
      const claims = {
        iss,
        aud,
        sub: 'integration-tests',
        ...(tenant === undefined ? {} : { tenant }),
        roles,
        iat: nowS - ageS,
        exp: nowS + ttlS,
      };
      const text = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claims)}`;
      return `${text}.${sign(null, Buffer.from(text), signingKey).toString('base64url')}`;
    },
  };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
