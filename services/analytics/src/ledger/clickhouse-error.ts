import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { tlsFailureOf } from '@lethe/platform/tls/tls-failure.ts';

/** ClickHouse's names of failures after which the same statement may succeed. */
const transientTypes: ReadonlySet<string> = new Set([
  'ALL_CONNECTION_TRIES_FAILED',
  'CANNOT_FSYNC',
  'CANNOT_WRITE_TO_FILE_DESCRIPTOR',
  'KEEPER_EXCEPTION',
  'MEMORY_LIMIT_EXCEEDED',
  'NETWORK_ERROR',
  'NOT_ENOUGH_SPACE',
  'REPLICA_IS_NOT_IN_QUORUM',
  'SOCKET_TIMEOUT',
  'TABLE_IS_READ_ONLY',
  'TIMEOUT_EXCEEDED',
  'TOO_FEW_LIVE_REPLICAS',
  'TOO_MANY_PARTS',
  'TOO_MANY_SIMULTANEOUS_QUERIES',
  // The rows may be there or not; the same insert again settles it.
  'UNKNOWN_STATUS_OF_INSERT',
  'UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE',
]);

/** Those of a login that it refuses. */
const loginTypes: ReadonlySet<string> = new Set([
  'AUTHENTICATION_FAILED',
  'IP_ADDRESS_NOT_ALLOWED',
  'REQUIRED_PASSWORD',
  'UNKNOWN_USER',
  'WRONG_PASSWORD',
]);

/** What the server, or TLS with it, refuses until somebody corrects a setting; undefined for any other failure. */
function refusalOf(error: unknown, type: unknown): string | undefined {
  if (typeof type === 'string' && loginTypes.has(type)) {
    return `refuses the login (${type}): correct LETHE_CLICKHOUSE_USER and what the file of LETHE_CLICKHOUSE_PASSWORD_FILE holds`;
  }
  if (type === 'ACCESS_DENIED') {
    return `denies a right (${type}): grant the user what docs/operators/clickhouse.md lists`;
  }
  const tlsFailure = type === undefined ? tlsFailureOf(error) : undefined;
  return tlsFailure === undefined
    ? undefined
    : `shows a certificate that is not taken (${tlsFailure}): see LETHE_CLICKHOUSE_CA_FILE`;
}

/** ClickHouse's errors carry the name of their kind, which is passed on; their text may quote values, and is not. */
export function refused(error: unknown): never {
  if (error instanceof ServiceError) throw error;
  const type: unknown = error instanceof Error ? Reflect.get(error, 'type') : undefined;
  const refusal = refusalOf(error, type);
  if (refusal !== undefined) {
    throw new ServiceError('STORE_ACCESS_DENIED', `ClickHouse ${refusal}.`, { cause: error });
  }
  if (typeof type === 'string' && !transientTypes.has(type)) {
    const message = `The aggregate store refused a statement: ${type}.`;
    throw new ServiceError('INTERNAL_DEFECT', message, { cause: error });
  }
  const said = typeof type === 'string' ? type : 'no answer';
  if (said === 'NOT_ENOUGH_SPACE') {
    throw new ServiceError('STORE_FULL', 'The disk of the aggregate store is full.', {
      cause: error,
    });
  }
  const message = `The aggregate store failed: ${said}.`;
  throw new ServiceError('STORE_UNAVAILABLE', message, { cause: error });
}
