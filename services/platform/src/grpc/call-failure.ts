import { type Metadata, status } from '@grpc/grpc-js';
import {
  BadRequest,
  ErrorInfo,
  RetryInfo,
  Status,
} from '@lethe/proto/gen/google/rpc/error_details.ts';
import { errorDomain, type Reason, reasons } from '@lethe/proto/reasons.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { type FieldViolation, ServiceError } from '../errors/service-error.ts';
import { statusDetailsTrailer } from './status-details.ts';

/** What grpc-js rejects with. */
interface GrpcFailure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata | undefined;
}

/** Whether the call may not have come to the other service at all: no word of it, only of the way there. */
export function isLostOnTheWay(error: unknown): boolean {
  return isGrpcFailure(error) && error.code === status.UNAVAILABLE && sayingOf(error) === undefined;
}

/**
 * A failed call as the other side threw it: reason, message, violations and delay. What only the transport knows of
 * becomes SERVICE_UNAVAILABLE, CALL_TIMED_OUT or CERTIFICATE_REFUSED; anything else is passed on. Its words name
 * addresses and certificates within the platform: they are the error's `problem`, as the message goes to callers.
 */
export function serviceErrorOf(error: unknown, service: ServiceName): unknown {
  if (!isGrpcFailure(error)) return error;
  const said = sayingOf(error);
  if (said === undefined) return transportError(error, service);
  const { reason, violations, retryDelayMs } = said;
  if (refusalsOfOurs.has(reason)) {
    const message = `The service ${service} refuses the certificate of this one.`;
    return new ServiceError('CERTIFICATE_REFUSED', message, {
      problem: error.details,
      cause: error,
    });
  }
  return new ServiceError(reason, error.details, {
    violations,
    ...(retryDelayMs === undefined ? {} : { retryDelayMs }),
    cause: error,
  });
}

const refusalsOfOurs: ReadonlySet<Reason> = new Set([
  'CERTIFICATE_REQUIRED',
  'CERTIFICATE_NAMES_NO_SERVICE',
]);

/** How OpenSSL, Node and `checkServerIdentity` of channel.ts word a certificate that they do not take. */
const untrusted = /certificate|self[- ]signed|Hostname\/IP/i;

function transportError(error: GrpcFailure, service: ServiceName): ServiceError {
  const [reason, message] = wordsFor(error, service);
  return new ServiceError(reason, message, { problem: error.details, cause: error });
}

function wordsFor({ code, details }: GrpcFailure, service: ServiceName): [Reason, string?] {
  if (code === status.DEADLINE_EXCEEDED) {
    return ['CALL_TIMED_OUT', `The service ${service} did not answer in time.`];
  }
  if (code === status.UNAVAILABLE && untrusted.test(details)) {
    return ['CERTIFICATE_REFUSED', `The certificate that ${service} shows is not taken.`];
  }
  // Cancelled, and not by us: the connection went away under the call.
  if (code === status.UNAVAILABLE || code === status.CANCELLED) {
    return ['SERVICE_UNAVAILABLE', `The service ${service} cannot be reached.`];
  }
  return code === status.UNIMPLEMENTED ? ['METHOD_NOT_LISTED'] : ['INTERNAL_DEFECT'];
}

function isGrpcFailure(error: unknown): error is GrpcFailure {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error
  );
}

interface Saying {
  readonly reason: Reason;
  readonly violations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;
}

/** What a service of ours said; undefined for what nobody but the transport says. */
function sayingOf({ metadata }: GrpcFailure): Saying | undefined {
  const trailer = metadata?.get(statusDetailsTrailer)[0];
  if (!Buffer.isBuffer(trailer)) return undefined;
  const details = new Map(
    Status.decode(trailer).details.map(({ typeUrl, value }) => [typeUrl.split('.').at(-1), value]),
  );
  const info = ErrorInfo.decode(details.get('ErrorInfo') ?? new Uint8Array());
  if (info.domain !== errorDomain) return undefined;
  const { fieldViolations } = BadRequest.decode(details.get('BadRequest') ?? new Uint8Array());
  const delay = RetryInfo.decode(details.get('RetryInfo') ?? new Uint8Array()).retryDelay;
  return {
    // A newer service may have reasons that this one does not know.
    reason: isReason(info.reason) ? info.reason : 'INTERNAL_DEFECT',
    violations: fieldViolations.map(({ field, description }) => ({ field, description })),
    retryDelayMs:
      delay === undefined ? undefined : Number(delay.seconds) * 1000 + delay.nanos / 1_000_000,
  };
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(reasons, text);
}
