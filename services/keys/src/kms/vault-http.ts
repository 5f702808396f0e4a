import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createBackoff } from '@lethe/platform/retry/backoff.ts';
import { z } from 'zod';

export interface VaultRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/v1/`. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly token?: string;
}

/** Any answer that settles the request: of status 2xx or 4xx. */
export interface VaultAnswer {
  readonly status: number;
  readonly isOk: boolean;
  /** Parsed JSON, or undefined when there was none. */
  readonly body: unknown;
}

export interface VaultHttp {
  readonly address: string;
  /**
   * Asks up to three times while Vault cannot be reached or fails; every request here may be repeated.
   * Throws KMS_UNAVAILABLE, also for a redirect, and KMS_SEALED. No error holds a body, a header or Vault's own text: those
   * carry tokens and keys.
   */
  send(request: VaultRequest): Promise<VaultAnswer>;
}

export interface VaultHttpOptions {
  readonly address: string;
  readonly namespace: string | undefined;
  /** Of one attempt, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

const attemptsMax = 3;
const backoffMs = { first: 100, max: 1_000 };

/** 408: of a proxy; 412: a replica that has not yet seen its own write; 429: a quota. */
const statusesToRepeat: ReadonlySet<number> = new Set([408, 412, 429]);

const sealStatus = z.object({ sealed: z.boolean(), initialized: z.boolean() });

export function createVaultHttp(options: VaultHttpOptions): VaultHttp {
  const { address, clock } = options;
  const attempt = async (request: VaultRequest): Promise<VaultAnswer | ServiceError> => {
    const answer = await ask(options, request);
    if (answer instanceof ServiceError) return answer;
    const { status } = answer;
    if (status >= 300 && status < 400) {
      // A standby does while it cannot forward to the active node. A token must not follow to wherever that leads.
      return unavailable(
        `Vault at ${address} redirects ${where(request)}: should it last, give the address of the active node or of a load balancer.`,
      );
    }
    if (status === 503 && (await isSealed(options))) {
      throw new ServiceError('KMS_SEALED', `Vault at ${address} is sealed: unseal it.`);
    }
    if (status >= 500 || statusesToRepeat.has(status)) {
      return unavailable(`Vault at ${address} answered ${status} to ${where(request)}.`);
    }
    return answer;
  };
  return {
    address,
    send: async (request) => {
      const backoff = createBackoff(backoffMs.first, backoffMs.max);
      for (;;) {
        const answer = await attempt(request);
        if (!(answer instanceof ServiceError)) return answer;
        const delayMs = backoff.next();
        if (backoff.failures() === attemptsMax) throw answer;
        await clock.sleep(delayMs);
      }
    },
  };
}

async function ask(
  { address, namespace, timeoutMs }: VaultHttpOptions,
  request: VaultRequest,
): Promise<VaultAnswer | ServiceError> {
  const { method, path, body, token } = request;
  try {
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'X-Vault-Request': 'true',
        ...(token === undefined ? {} : { 'X-Vault-Token': token }),
        ...(namespace === undefined ? {} : { 'X-Vault-Namespace': namespace }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, isOk: response.ok, body: parseJson(await response.text()) };
  } catch (error) {
    const why = error instanceof Error ? nameOf(error) : 'unknown';
    return unavailable(
      `Vault at ${address} cannot be reached for ${where(request)} (${why}).`,
      error,
    );
  }
}

/** Asks Vault itself, as proxies answer 503 too and OpenBao words it otherwise. */
async function isSealed(options: VaultHttpOptions): Promise<boolean> {
  const answer = await ask(options, { method: 'GET', path: 'sys/seal-status' });
  if (answer instanceof ServiceError) return false;
  const parsed = sealStatus.safeParse(answer.body);
  return parsed.success && (parsed.data.sealed || !parsed.data.initialized);
}

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // A proxy's page. A JSON error would quote it; whoever needs a body says that it is missing.
    return undefined;
  }
}

/** The method and the path, which names at most a tenant. */
function where({ method, path }: VaultRequest): string {
  return `${method} ${path}`;
}

/** `fetch failed` says nothing; its cause has the code. */
function nameOf(error: Error): string {
  const code: unknown = error.cause instanceof Error ? Reflect.get(error.cause, 'code') : undefined;
  return typeof code === 'string' ? code : error.name;
}

function unavailable(message: string, cause?: unknown): ServiceError {
  return new ServiceError('KMS_UNAVAILABLE', message, cause === undefined ? {} : { cause });
}
