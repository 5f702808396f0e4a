import type { Command } from 'commander';
import type { z } from 'zod';
import { exitCodesHelp, exitCodes, type ExitCode } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import type { Surroundings } from '../surroundings.ts';

/** One command: what its --help says, how its options are parsed, what it does. */
export interface CommandSpec<Options extends z.ZodType> {
  /** Name and arguments, such as "show <ticket>". */
  readonly usage: string;
  readonly summary: string;
  /** What it does, in sentences; the summary comes first by itself. */
  readonly details?: string;
  readonly examples: readonly string[];
  /** What else to know, below the examples. */
  readonly after?: string;
  /** Declares the options to commander. */
  readonly declare?: (command: Command) => void;
  /** Parses what commander collected; the keys are the options' names in camel case. */
  readonly options: Options;
  readonly run: (input: CommandInput<z.infer<Options>>) => Promise<ExitCode>;
}

export interface CommandInput<Options> {
  readonly options: Options;
  /** Positional arguments, as many as the usage line names. */
  readonly operands: readonly string[];
  readonly surroundings: Surroundings;
}

/** What the program is made of: where commands report their exit code. */
export interface CommandHost {
  readonly surroundings: Surroundings;
  finish(exitCode: ExitCode): void;
}

/** Adds the command to its parent, with examples and exit codes below its help. */
export function defineCommand<Options extends z.ZodType>(
  parent: Command,
  host: CommandHost,
  spec: CommandSpec<Options>,
): void {
  const command = parent.command(spec.usage).summary(spec.summary);
  command.description(
    spec.details === undefined ? `${spec.summary}.` : `${spec.summary}. ${spec.details}`,
  );
  spec.declare?.(command);
  const examples = spec.examples.map((example) => `  $ lethe ${example}`).join('\n');
  const after = spec.after === undefined ? '' : `${spec.after}\n`;
  command.addHelpText('after', `\nExamples:\n${examples}\n\n${after}${exitCodesHelp}`);
  command.action(async () => {
    const options = parseOptions(spec.options, command.opts());
    const { surroundings } = host;
    host.finish(await spec.run({ options, operands: command.args, surroundings }));
  });
}

function parseOptions<Options extends z.ZodType>(
  schema: Options,
  collected: unknown,
): z.infer<Options> {
  const parsed = schema.safeParse(collected);
  if (parsed.success) return parsed.data;
  const brokenRules = parsed.error.issues.map((issue) => ({
    field: optionName(issue.path),
    rule: issue.message,
  }));
  throw new CliError(exitCodes.usage, 'The command line breaks a rule.', {
    brokenRules,
    next: 'See the same command with --help.',
  });
}

function optionName(path: readonly PropertyKey[]): string {
  const [name] = path;
  if (name === undefined) return '(options)';
  return `--${String(name).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
