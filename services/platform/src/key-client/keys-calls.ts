import { isRetryable, ServiceError } from '../errors/service-error.ts';

/** Longest wait for an answer of the keys service, milliseconds. */
export const keysTimeoutMs = 10_000;

/**
 * Runs a call to keys. What says that keys or its KMS cannot be reached becomes KEYS_UNAVAILABLE, so that a caller
 * sees one reason; every other refusal of keys is passed on as it is.
 */
export async function callKeys<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const known = error instanceof ServiceError;
    if (known && (!isRetryable(error.code) || passedOn.has(error.reason))) throw error;
    throw new ServiceError('KEYS_UNAVAILABLE', undefined, { cause: error });
  }
}

const passedOn: ReadonlySet<string> = new Set(['KEYS_CATCHING_UP', 'KEYS_UNAVAILABLE']);
