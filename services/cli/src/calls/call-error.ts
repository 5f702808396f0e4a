import { status, type Metadata } from '@grpc/grpc-js';
import {
  BadRequest,
  ErrorInfo,
  RetryInfo,
  Status,
} from '@lethe/proto/gen/google/rpc/error_details.ts';

/** gRPC's trailer for google.rpc.Status. */
const statusDetailsTrailer = 'grpc-status-details-bin';

/** What a server says about a failed call beside its code. */
export interface CallErrorDetails {
  /** `ErrorInfo.reason`. */
  readonly reason: string | undefined;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** `RetryInfo.retry_delay`, milliseconds. */
  readonly retryDelayMs: number | undefined;
}

/** A call that a server, or the way to it, answered with an error. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: status;
  readonly address: string;
  readonly details: CallErrorDetails;

  constructor(
    code: status,
    message: string,
    address: string,
    details: CallErrorDetails,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.code = code;
    this.address = address;
    this.details = details;
  }

  /** gRPC's canonical name. */
  get codeName(): string {
    return status[this.code];
  }
}

/** What grpc-js rejects with. */
interface GrpcFailure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata | undefined;
}

function isGrpcFailure(error: unknown): error is GrpcFailure {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error
  );
}

/** Anything that a grpc-js call rejected with, as a CallError where it is one. */
export function callErrorOf(error: unknown, address: string): unknown {
  if (!isGrpcFailure(error)) return error;
  const trailer = error.metadata?.get(statusDetailsTrailer)[0];
  const details = Buffer.isBuffer(trailer) ? decodeDetails(trailer) : noDetails;
  return new CallError(error.code, error.details, address, details, error);
}

const noDetails: CallErrorDetails = { reason: undefined, violations: [], retryDelayMs: undefined };

/** Details of types that we do not know are skipped; bytes that are no google.rpc.Status count as no details. */
function decodeDetails(bytes: Buffer): CallErrorDetails {
  try {
    return Status.decode(bytes).details.reduce(withDetail, noDetails);
  } catch {
    return noDetails;
  }
}

function withDetail(
  soFar: CallErrorDetails,
  { typeUrl, value }: { readonly typeUrl: string; readonly value: Uint8Array },
): CallErrorDetails {
  switch (typeUrl) {
    case 'type.googleapis.com/google.rpc.ErrorInfo':
      return { ...soFar, reason: ErrorInfo.decode(value).reason };
    case 'type.googleapis.com/google.rpc.BadRequest':
      return { ...soFar, violations: BadRequest.decode(value).fieldViolations };
    case 'type.googleapis.com/google.rpc.RetryInfo': {
      const delay = RetryInfo.decode(value).retryDelay;
      if (delay === undefined) return soFar;
      return { ...soFar, retryDelayMs: Number(delay.seconds) * 1000 + delay.nanos / 1_000_000 };
    }
    default:
      return soFar;
  }
}
