import { isRetryable, ServiceError } from '../errors/service-error.ts';

/** Of the operating system's errors, those of a peer or a connection that may be back in a moment. */
const lostConnectionCodes: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** How `pg` words a connection that ended below a statement; it gives no code there. */
const lostConnectionText = /^Connection terminated|^Client has encountered a connection error/;

/** Whether the same work may succeed later: a retryable ServiceError, a lost connection, a call that took too long. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ServiceError) return isRetryable(error.code);
  if (!(error instanceof Error)) return false;
  if (error.name === 'TimeoutError' || lostConnectionText.test(error.message)) return true;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' && lostConnectionCodes.has(code);
}
