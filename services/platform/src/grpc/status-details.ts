import { Metadata, status, type ServiceError as GrpcError } from '@grpc/grpc-js';
import {
  BadRequest,
  ErrorInfo,
  RetryInfo,
  Status,
} from '@lethe/proto/gen/google/rpc/error_details.ts';
import { errorDomain, type CanonicalCode } from '@lethe/proto/reasons.ts';
import type { ServiceError } from '../errors/service-error.ts';

/** gRPC's numbers of the canonical codes. */
const grpcCodes: Readonly<Record<CanonicalCode, status>> = {
  CANCELLED: status.CANCELLED,
  UNKNOWN: status.UNKNOWN,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  OUT_OF_RANGE: status.OUT_OF_RANGE,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  INTERNAL: status.INTERNAL,
  UNAVAILABLE: status.UNAVAILABLE,
  DATA_LOSS: status.DATA_LOSS,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
};

/** gRPC's trailer for google.rpc.Status. */
export const statusDetailsTrailer = 'grpc-status-details-bin';

const typeUrl = (name: string) => `type.googleapis.com/google.rpc.${name}`;

/** The one place where an error becomes a gRPC status with its standard details. */
export function grpcErrorOf(error: ServiceError): Pick<GrpcError, 'code' | 'details' | 'metadata'> {
  const code = grpcCodes[error.code];
  const metadata = new Metadata();
  metadata.set(statusDetailsTrailer, Buffer.from(Status.encode(statusOf(error, code)).finish()));
  return { code, details: error.message, metadata };
}

function statusOf(error: ServiceError, code: status): Status {
  const metadata: Record<string, string> = error.limit === undefined ? {} : { limit: error.limit };
  const info = ErrorInfo.encode({ reason: error.reason, domain: errorDomain, metadata });
  const details = [{ typeUrl: typeUrl('ErrorInfo'), value: Buffer.from(info.finish()) }];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.map((violation) => ({ ...violation }));
    const badRequest = BadRequest.encode({ fieldViolations }).finish();
    details.push({ typeUrl: typeUrl('BadRequest'), value: Buffer.from(badRequest) });
  }
  if (error.retryDelayMs !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.trunc(error.retryDelayMs / 1000)),
      nanos: Math.trunc(error.retryDelayMs % 1000) * 1_000_000,
    };
    const retryInfo = RetryInfo.encode({ retryDelay }).finish();
    details.push({ typeUrl: typeUrl('RetryInfo'), value: Buffer.from(retryInfo) });
  }
  return { code, message: error.message, details };
}
