import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { createBackoff } from '@lethe/platform/retry/backoff.ts';
import { createWakeable } from '@lethe/platform/lifecycle/wakeable.ts';
import type { VaultAuth } from './kms-config.ts';
import type { VaultAnswer, VaultHttp, VaultRequest } from './vault-http.ts';
import { logIn, renew, type VaultLease } from './vault-login.ts';

/** A login to Vault that lasts: it is renewed in time, and made anew when Vault no longer knows its token. */
export interface VaultSession {
  /** Logs in when needed. A 403 comes back only from a living token: it lacks the right. Throws as `logIn`. */
  send(request: Omit<VaultRequest, 'token'>): Promise<VaultAnswer>;
  /** Set while the token cannot be renewed nor a new one be had. */
  problem(): string | undefined;
  /** Revokes the token if it was got by a login here; idempotent. */
  close(): Promise<void>;
}

export interface VaultSessionOptions {
  readonly http: VaultHttp;
  readonly auth: VaultAuth;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Held extends VaultLease {
  /** On the monotonic clock, from before the request. */
  readonly sinceMs: number;
  /** What the login granted: a renewal that gives much less is near the token's last end. */
  readonly loginDurationMs: number;
}

/** The part of its life after which a token is renewed; the rest is there for trying again. */
const renewAfter = 2 / 3;
/** How long the loop rests when nothing expires. */
const idleMs = 3_600_000;

export function createVaultSession(options: VaultSessionOptions): VaultSession {
  const { http } = options;
  const tokens = createTokens(options);
  const closing = new AbortController();
  const loop = keepAlive(options, tokens, closing.signal);
  return {
    send: async (request) => {
      const { token } = await tokens.current();
      const answer = await http.send({ ...request, token });
      if (answer.status !== 403 || (await isAlive(http, token))) return answer;
      // Expired while the machine slept, revoked, or of a Vault that was restored from a copy.
      tokens.drop(token);
      return await http.send({ ...request, token: (await tokens.current()).token });
    },
    problem: () => loop.problem(),
    close: async () => {
      if (closing.signal.aborted) return;
      closing.abort();
      loop.wake();
      await loop.ended;
      await tokens.revoke();
    },
  };
}

/** Every token may ask this by Vault's default policy; a fresh login for each missing right would flood Vault. */
async function isAlive(http: VaultHttp, token: string): Promise<boolean> {
  return (await http.send({ method: 'GET', path: 'auth/token/lookup-self', token })).isOk;
}

/** Undefined also when Vault fails at it: one that is away refuses the login after it too, and says so. */
async function tryToRenew(http: VaultHttp, token: string): Promise<VaultLease | undefined> {
  try {
    return await renew(http, token);
  } catch (error) {
    if (error instanceof ServiceError && error.reason === 'KMS_UNAVAILABLE') return undefined;
    throw error;
  }
}

interface Tokens {
  /** The token, from a login if there is none that lives; one login for all who wait. */
  current(): Promise<Held>;
  held(): Held | undefined;
  drop(token: string): void;
  /** Renews what is held, or logs in again when it cannot be renewed further. */
  refresh(held: Held): Promise<void>;
  revoke(): Promise<void>;
  /** Is called when another token is held. */
  onChange(listener: () => void): void;
}

function createTokens({ http, auth, clock, logger }: VaultSessionOptions): Tokens {
  let held: Held | undefined;
  let underway: Promise<Held> | undefined;
  let changed = (): void => {};
  const hold = (lease: VaultLease, sinceMs: number, loginDurationMs: number): Held => {
    held = { ...lease, sinceMs, loginDurationMs };
    changed();
    return held;
  };
  const logInAnew = (): Promise<Held> => {
    underway ??= (async () => {
      try {
        const sinceMs = clock.monotonicMs();
        const lease = await logIn(http, auth);
        return hold(lease, sinceMs, lease.durationMs);
      } finally {
        underway = undefined;
      }
    })();
    return underway;
  };
  return {
    current: async () => {
      const isLiving = held !== undefined && clock.monotonicMs() < held.sinceMs + held.durationMs;
      return held !== undefined && isLiving ? held : await logInAnew();
    },
    held: () => held,
    drop: (token) => {
      if (held?.token === token) held = undefined;
    },
    refresh: async ({ token, renewable, loginDurationMs }) => {
      const sinceMs = clock.monotonicMs();
      const renewed = renewable ? await tryToRenew(http, token) : undefined;
      if (renewed === undefined || renewed.durationMs <= loginDurationMs / 2) await logInAnew();
      else if (held?.token === token) hold(renewed, sinceMs, loginDurationMs);
    },
    revoke: async () => {
      const token = held?.token;
      held = undefined;
      if (token === undefined || auth.method === 'token-file') return;
      try {
        await http.send({ method: 'POST', path: 'auth/token/revoke-self', token });
      } catch (error) {
        // It ends by itself with its lease.
        const reason = error instanceof ServiceError ? error.reason : 'INTERNAL_DEFECT';
        logger.warn({ component: 'vault', reason }, 'the Vault token could not be revoked');
      }
    },
    onChange: (listener) => {
      changed = listener;
    },
  };
}

/** Renews in the background: a service that asks its KMS once a day must not find its token expired then. */
function keepAlive({ clock, logger }: VaultSessionOptions, tokens: Tokens, signal: AbortSignal) {
  const backoff = createBackoff(200, 15_000);
  const wakeable = createWakeable(clock);
  let problem: string | undefined;
  // Also by a login that a call brought about.
  tokens.onChange(() => {
    backoff.reset();
    problem = undefined;
    wakeable.wake();
  });
  const restMs = (): number => {
    const held = tokens.held();
    if (held === undefined || held.durationMs === Infinity) return idleMs;
    const dueMs = held.sinceMs + held.durationMs * renewAfter;
    return Math.min(idleMs, Math.max(0, dueMs - clock.monotonicMs()));
  };
  const round = async (): Promise<void> => {
    await wakeable.wait(restMs(), signal);
    const held = tokens.held();
    if (signal.aborted || held === undefined || restMs() > 0) return;
    try {
      await tokens.refresh(held);
    } catch (error) {
      const reason = error instanceof ServiceError ? error.reason : 'INTERNAL_DEFECT';
      const delayMs = backoff.next();
      problem = `vault: the token cannot be renewed (${reason})`;
      logger.warn({ component: 'vault', reason, delayMs }, 'the Vault token cannot be renewed');
      await wakeable.wait(delayMs, signal);
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) await round();
  };
  return { ended: run(), wake: () => wakeable.wake(), problem: () => problem };
}
