import { exitCodes, type ExitCode } from '../exit-codes.ts';

/** One broken rule of one field. */
export interface BrokenRule {
  readonly field: string;
  readonly rule: string;
}

/** What a reader of an error needs, in the order of reading. Never a stack trace, never a value of personal data. */
export interface Explanation {
  readonly exitCode: ExitCode;
  readonly what: string;
  readonly brokenRules: readonly BrokenRule[];
  /** Stable, from docs/errors.md; undefined when the failure has none. */
  readonly reason: string | undefined;
  readonly next: string | undefined;
}

/** A failure that the command itself found and can explain. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly explanation: Explanation;

  constructor(
    exitCode: ExitCode,
    what: string,
    details: Partial<Omit<Explanation, 'exitCode' | 'what'>> & { readonly cause?: unknown } = {},
  ) {
    super(what, { cause: details.cause });
    this.explanation = {
      exitCode,
      what,
      brokenRules: details.brokenRules ?? [],
      reason: details.reason,
      next: details.next,
    };
  }
}

/** The command line or an input file breaks a rule. */
export function usageError(what: string, next?: string): CliError {
  return new CliError(exitCodes.usage, what, next === undefined ? {} : { next });
}
