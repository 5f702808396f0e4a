import { type CanonicalCode, type Reason, reasons } from '@lethe/proto/reasons.ts';

/** One broken rule of one field: the path and the rule, never the offending value. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ServiceErrorDetails {
  readonly violations?: readonly FieldViolation[];
  /** What the caller should wait before a retry, milliseconds. */
  readonly retryDelayMs?: number;
  /** Which limit was reached, by its name in the catalogue of limits; `ErrorInfo.metadata["limit"]` for the caller. */
  readonly limit?: string;
  /** What only this process may say, in its log: addresses, and words of a transport. Never a value. */
  readonly problem?: string;
  readonly cause?: unknown;
}

/**
 * The one error class. `reason` comes from the catalogue and decides the canonical code; `message` names ids and
 * rules and says what to do next, never a value of personal data.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: CanonicalCode;
  readonly reason: Reason;
  readonly violations: readonly FieldViolation[];
  readonly retryDelayMs: number | undefined;
  readonly limit: string | undefined;
  readonly problem: string | undefined;

  constructor(reason: Reason, message?: string, details: ServiceErrorDetails = {}) {
    super(message ?? reasons[reason].meaning, { cause: details.cause });
    this.reason = reason;
    this.code = reasons[reason].code;
    this.violations = details.violations ?? [];
    this.retryDelayMs = details.retryDelayMs;
    this.limit = details.limit;
    this.problem = details.problem;
  }
}

const retryable: Readonly<Record<CanonicalCode, boolean>> = {
  CANCELLED: false,
  UNKNOWN: false,
  INVALID_ARGUMENT: false,
  DEADLINE_EXCEEDED: true,
  NOT_FOUND: false,
  ALREADY_EXISTS: false,
  PERMISSION_DENIED: false,
  RESOURCE_EXHAUSTED: true,
  FAILED_PRECONDITION: false,
  ABORTED: true,
  OUT_OF_RANGE: false,
  UNIMPLEMENTED: false,
  INTERNAL: false,
  UNAVAILABLE: true,
  DATA_LOSS: false,
  UNAUTHENTICATED: false,
};

/** Whether the same call may succeed later. */
export function isRetryable(code: CanonicalCode): boolean {
  return retryable[code];
}
