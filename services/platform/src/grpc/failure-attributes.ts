import { reasonOf } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';

/** What a span or a metric of a call says of its failure. */
export function failureAttributes(error: unknown) {
  const reason = reasonOf(error);
  const { code } = error instanceof ServiceError ? error : new ServiceError(reason);
  return { 'rpc.response.status_code': code, 'error.type': reason } as const;
}
