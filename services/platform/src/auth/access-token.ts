import {
  errors as joseErrors,
  jwtVerify,
  type CryptoKey,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { z } from 'zod';
import { roles } from '@lethe/proto/access.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Caller } from '../grpc/handler.ts';
import { isTenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';

export interface AccessTokenRules {
  readonly issuer: string;
  readonly audience: string;
  /** The issuer's public key, or a function that finds it (a JWKS). */
  readonly verificationKey: CryptoKey | JWTVerifyGetKey;
  /** Signature algorithms taken; never "none", never a symmetric one. */
  readonly algorithms: readonly string[];
}

/** A token may live at most this long, whatever its issuer says (requirement A6). */
export const accessTokenLifetimeMaxS = 3600;

/** How far an issuer's clock may be ahead of ours. */
const clockSkewS = 60;

const claims = z.object({
  sub: z.string().min(1).max(256),
  exp: z.number(),
  iat: z.number(),
  tenant: z.string().refine(isTenantId).optional(),
  roles: z.array(z.enum(roles)).min(1),
});

/** Verifies an access token and answers who calls. Throws TOKEN_INVALID, TOKEN_EXPIRED. */
export function createAccessTokenVerifier(
  rules: AccessTokenRules,
  clock: Clock,
): (token: string) => Promise<Caller> {
  return async (token) => {
    const payload = await verifySignature(token, rules, clock);
    const parsed = claims.safeParse(payload);
    if (!parsed.success) {
      const broken = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
      throw new ServiceError('TOKEN_INVALID', `These claims are missing or wrong: ${broken}.`);
    }
    // From now on as well: one that says it was issued in the future would live longer.
    const issuedS = Math.min(parsed.data.iat, Math.floor(clock.nowMs() / 1000) + clockSkewS);
    if (parsed.data.exp - issuedS > accessTokenLifetimeMaxS) {
      throw new ServiceError('TOKEN_EXPIRED', 'The token lives longer than an hour.');
    }
    const { sub: subject, tenant, roles: granted } = parsed.data;
    const expiresAtMs = parsed.data.exp * 1000;
    return tenant === undefined
      ? { kind: 'platform', subject, roles: granted, expiresAtMs }
      : { kind: 'tenant', tenantId: tenant, subject, roles: granted, expiresAtMs };
  };
}

async function verifySignature(
  token: string,
  rules: AccessTokenRules,
  clock: Clock,
): Promise<JWTPayload> {
  const options = {
    issuer: rules.issuer,
    audience: rules.audience,
    algorithms: [...rules.algorithms],
    requiredClaims: ['sub', 'exp', 'iat', 'roles'],
    currentDate: new Date(clock.nowMs()),
  };
  try {
    const key = rules.verificationKey;
    const verified =
      typeof key === 'function'
        ? await jwtVerify(token, key, options)
        : await jwtVerify(token, key, options);
    return verified.payload;
  } catch (error) {
    // The message of the library may quote claims; only its class is passed on.
    if (error instanceof joseErrors.JWTExpired) {
      throw new ServiceError('TOKEN_EXPIRED', undefined, { cause: error });
    }
    if (isIssuerAway(error))
      throw new ServiceError('ISSUER_UNAVAILABLE', undefined, { cause: error });
    throw new ServiceError('TOKEN_INVALID', undefined, { cause: error });
  }
}

/** The issuer's keys could not be fetched, which says nothing of the token. */
function isIssuerAway(error: unknown): boolean {
  if (error instanceof joseErrors.JWKSTimeout || error instanceof joseErrors.JWKSInvalid)
    return true;
  // What jose throws when the answer is no 200, and what fetch does when there is none.
  if (error instanceof TypeError) return error.message === 'fetch failed';
  return Reflect.get(Object(error), 'code') === 'ERR_JOSE_GENERIC';
}
