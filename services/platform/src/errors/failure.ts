import type { Reason } from '@lethe/proto/reasons.ts';
import { isTransient } from '../retry/is-transient.ts';
import { ServiceError } from './service-error.ts';

/** What a log line says of a failure. */
export interface FailureFields {
  readonly reason: Reason;
  /** Of a defect: see `placeOf`. Of a call that did not come through: what the transport says of it. */
  readonly problem?: string;
}

/** The catalogue's reason of a failure; a lost connection is an unavailable store, anything else a defect. */
export function reasonOf(failure: unknown): Reason {
  if (failure instanceof ServiceError) return failure.reason;
  return isTransient(failure) ? 'STORE_UNAVAILABLE' : 'INTERNAL_DEFECT';
}

/**
 * The fields by which a failure is logged: its reason, and where it came from when that is all there is to go by. Never
 * its message: what is not ours may quote values, and of ours the reason says enough.
 */
export function failureFields(failure: unknown): FailureFields {
  const reason = reasonOf(failure);
  if (failure instanceof ServiceError && reason !== 'INTERNAL_DEFECT') {
    const problem = problemOf(failure);
    return problem === undefined ? { reason } : { reason, problem };
  }
  return { reason, problem: placeOf(originOf(failure)) };
}

/** What a failure says that is for logs alone; of one that was made of another, what that one says. */
function problemOf(failure: unknown): string | undefined {
  return failure instanceof ServiceError
    ? (failure.problem ?? problemOf(failure.cause))
    : undefined;
}

/** A failure in words, for logs and health: the message of our own errors and their problem, of any other the place. */
export function failureText(failure: unknown): string {
  const said = failure instanceof ServiceError ? failure.message : placeOf(failure);
  const problem = problemOf(failure);
  return `${reasonOf(failure)}: ${said}${problem === undefined ? '' : ` (${problem})`}`;
}

/** The class of an error, its code and the innermost line of the code that threw it; nothing of its message. */
export function placeOf(failure: unknown): string {
  if (!(failure instanceof Error)) return `no error but a ${typeof failure}`;
  const code = codeOf(failure);
  const name = code === undefined ? failure.name : `${failure.name} ${code}`;
  return `${name} ${firstFrame(failure) ?? 'of an unknown place'}`;
}

/** What a defect of ours was made of, or the failure itself. */
function originOf(failure: unknown): unknown {
  const isWrapped = failure instanceof ServiceError && failure.cause !== undefined;
  return isWrapped ? originOf(failure.cause) : failure;
}

/** Of the operating system, Node (ERR_…) or a database. A code of another form may be a value. */
function codeOf(error: Error): string | undefined {
  const codes: unknown[] = [Reflect.get(error, 'code'), Reflect.get(error, 'sqlState')];
  return codes.filter((code) => typeof code === 'string').find((code) => codeForm.test(code));
}

const codeForm = /^[0-9A-Z_]{3,40}$/;
const frameLine = /^ {4}at \S.*(:\d+:\d+\)?| \(<anonymous>\)| \(index \d+\))$/;

/**
 * A stack begins with the message, whose lines may look like anything: frames are the last run of lines that look like
 * frames, and what the message takes of it is left out.
 */
function firstFrame({ stack = '', message }: Error): string | undefined {
  const messageAt = message === '' ? -1 : stack.indexOf(message);
  const isStillThere = messageAt >= 0;
  const lines = (isStillThere ? stack.slice(messageAt + message.length) : stack).split('\n');
  const frames = lines.slice(lines.findLastIndex((line) => !frameLine.test(line)) + 1);
  // Of a stack whose message was changed the first frames may be lines of the old one; the last is code.
  return frames.at(message === '' || isStillThere ? 0 : -1)?.trim();
}
