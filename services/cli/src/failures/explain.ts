import { status } from '@grpc/grpc-js';
import { reasons, type Reason } from '@lethe/proto/reasons.ts';
import { CallError } from '../calls/call-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { asCalled } from '../output/as-called.ts';
import type { Style } from '../output/style.ts';
import { CliError, type Explanation } from './cli-error.ts';

/** The one place where any error becomes what a reader needs. */
export function explain(error: unknown): Explanation {
  if (error instanceof CliError) return error.explanation;
  if (error instanceof CallError) return explainCall(error);
  if (isAbort(error)) return plain('Stopped before the end, as asked.', undefined);
  const file = fileProblem(error);
  if (file !== undefined)
    return { ...plain(file, 'Check the path and its rights.'), exitCode: exitCodes.usage };
  const name = error instanceof Error ? `${error.name}: ${error.message}` : 'An unknown failure.';
  return plain(
    `The command failed in a way it has no rule for. ${name}`,
    'Report this as a defect.',
  );
}

function explainCall(error: CallError): Explanation {
  const { reason, violations } = error.details;
  const known = isReason(reason) ? reasons[reason] : undefined;
  return {
    exitCode: isUnreachable(error) ? exitCodes.unreachable : exitCodes.failed,
    what: whatHappened(error, known?.meaning),
    brokenRules: violations.map(({ field, description }) => ({ field, rule: description })),
    reason,
    next: known?.next ?? nextByCode(error),
  };
}

function whatHappened(error: CallError, meaning: string | undefined): string {
  if (isUnreachable(error)) return `No server answers at ${error.address}.`;
  if (error.code === status.DEADLINE_EXCEEDED)
    return `The server at ${error.address} did not answer in time.`;
  return error.message === ''
    ? (meaning ?? `The server answered ${error.codeName}.`)
    : error.message;
}

function nextByCode(error: CallError): string | undefined {
  if (isUnreachable(error)) {
    return 'Start one with `lethe up`, or say where it is with --server HOST:PORT or --data DIR.';
  }
  if (error.code === status.DEADLINE_EXCEEDED) return 'Look at `lethe status`; then try again.';
  if (error.code === status.UNIMPLEMENTED)
    return 'Check that client and server have the same version.';
  return undefined;
}

/** Without a reason of ours, UNAVAILABLE comes from the transport: nobody is there. */
function isUnreachable(error: CallError): boolean {
  return error.code === status.UNAVAILABLE && error.details.reason === undefined;
}

function isReason(text: string | undefined): text is Reason {
  return text !== undefined && Object.hasOwn(reasons, text);
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function fileProblem(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return undefined;
  const place = String(error.path);
  switch (error.code) {
    case 'ENOENT':
      return `There is no file ${place}.`;
    case 'EACCES':
      return `The file ${place} may not be opened.`;
    case 'EISDIR':
      return `${place} is a folder, not a file.`;
    default:
      return undefined;
  }
}

function plain(what: string, next: string | undefined): Explanation {
  return { exitCode: exitCodes.failed, what, brokenRules: [], reason: undefined, next };
}

/** For people: what happened, the fields and rules, the reason, what to do next. */
export function explanationText(
  explanation: Explanation,
  style: Style,
  commandName: string,
): string {
  const { what, brokenRules, reason, next } = explanation;
  const lines = [`${style.red(style.bold('error'))} ${what}`];
  for (const { field, rule } of brokenRules) lines.push(`  ${style.bold(field)}  ${rule}`);
  if (reason !== undefined) lines.push(style.dim(`  reason  ${reason}`));
  if (next !== undefined) lines.push(`  next    ${asCalled(next, commandName)}`);
  return `${lines.join('\n')}\n`;
}

/** For machines, one line. */
export function explanationJson(explanation: Explanation): string {
  const { what, brokenRules, reason, next, exitCode } = explanation;
  return `${JSON.stringify({ error: { message: what, reason, brokenRules, next, exitCode } })}\n`;
}
