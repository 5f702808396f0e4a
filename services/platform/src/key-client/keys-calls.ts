import { isRetryable, ServiceError } from '../errors/service-error.ts';

/** Longest wait for an answer of the keys service, milliseconds. */
export const keysTimeoutMs = 10_000;

/**
 * Runs a call to keys. What says that keys or its KMS cannot be reached or used becomes KEYS_UNAVAILABLE, so that a
 * caller sees one reason; every other refusal of keys is passed on as it is.
 */
export async function callKeys<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof ServiceError && isPassedOn(error)) throw error;
    throw new ServiceError('KEYS_UNAVAILABLE', undefined, { cause: error });
  }
}

function isPassedOn({ code, reason }: ServiceError): boolean {
  if (reason === 'KEYS_CATCHING_UP' || reason === 'KEYS_UNAVAILABLE') return true;
  // An operator of the KMS mends it: whoever only needs a key waits, and goes on with the leases that it holds.
  return reason !== 'KMS_MISCONFIGURED' && !isRetryable(code);
}
