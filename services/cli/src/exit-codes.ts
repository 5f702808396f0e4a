/** What the process answers to its caller; `lethe --help` and docs/cli.md list the same. */
export const exitCodes = {
  ok: 0,
  /** The command ran and the answer is no: refused, not found, wrong, not equal. */
  failed: 1,
  /** The command line or an input file breaks a rule; nothing was sent. */
  usage: 2,
  /** No server answered. */
  unreachable: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The last lines of every --help. */
export const exitCodesHelp = `Exit codes:
  0  done
  1  failed: the server refused, or a check did not hold
  2  the command line or an input file breaks a rule
  3  the server cannot be reached`;
