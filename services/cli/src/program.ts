import { Command, CommanderError } from 'commander';
import { exitCodes, exitCodesHelp, type ExitCode } from './exit-codes.ts';
import { usageError, type CliError } from './failures/cli-error.ts';
import { explain, explanationJson, explanationText } from './failures/explain.ts';
import type { CommandHost } from './commands/define.ts';
import { defineCertificateCommands } from './commands/certificate.ts';
import { defineCheck } from './commands/check.ts';
import { defineErase } from './commands/erase.ts';
import { defineErasureCommands } from './commands/erasure.ts';
import { defineGenerate } from './commands/generate.ts';
import { defineImport } from './commands/import.ts';
import { defineMetrics } from './commands/metrics.ts';
import { defineParkedCommands } from './commands/parked.ts';
import { defineQuery } from './commands/query.ts';
import { defineRepair } from './commands/repair.ts';
import { defineRebuild } from './commands/rebuild.ts';
import { defineStatus } from './commands/status.ts';
import { defineTenantCommands } from './commands/tenant.ts';
import { defineTicketCommands } from './commands/ticket.ts';
import { defineToken } from './commands/token.ts';
import { defineTour } from './commands/tour.ts';
import { defineUp } from './commands/up.ts';
import type { Surroundings } from './surroundings.ts';

const firstSteps = `First steps:
  $ lethe up --tour                start a server here and let it show itself
  $ lethe status                   what runs, and what it holds
  $ lethe query created --tenant aldermoor-energy --grain week --by channel

${exitCodesHelp}`;

/** Runs one command line to its end and answers the exit code; writes every error in one form. */
export async function runCli(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok;
  const host: CommandHost = { surroundings, finish: (code) => (exitCode = code) };
  try {
    await createProgram(host).parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Help and version come this way too, already written.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage;
    const explanation = explain(error instanceof CommanderError ? commandLineError(error) : error);
    const { terminal, commandName } = surroundings;
    terminal.err(
      argv.includes('--json')
        ? explanationJson(explanation)
        : explanationText(explanation, terminal.errStyle, commandName),
    );
    return explanation.exitCode;
  }
}

/** What commander says as "error: missing …", in the form of every other error. */
function commandLineError({ message }: CommanderError): CliError {
  const text = message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return usageError(
    `${text.charAt(0).toUpperCase()}${text.slice(1)}.`,
    'See the same command with --help.',
  );
}

/** The command tree; parsing runs what `host` is for. */
export function createProgram(host: CommandHost): Command {
  const { terminal } = host.surroundings;
  const program = new Command('lethe')
    .description(
      'Support analytics that can forget: send events, ask for figures, erase people, check the proof.',
    )
    .version('0.1.0', '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print what a command does, with examples and exit codes')
    .addHelpText('after', `\n${firstSteps}`)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ helpWidth: Math.min(terminal.columns, 100) })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      // Written by runCli, like every error.
      outputError: () => undefined,
    });
  program.commandsGroup('Server:');
  defineUp(program, host);
  defineTour(program, host);
  defineStatus(program, host);
  defineCheck(program, host);
  defineParkedCommands(program, host);
  defineRebuild(program, host);
  defineRepair(program, host);
  defineToken(program, host);
  defineTenantCommands(program, host);
  program.commandsGroup('Events:');
  defineGenerate(program, host);
  defineImport(program, host);
  defineTicketCommands(program, host);
  program.commandsGroup('Figures:');
  defineQuery(program, host);
  defineMetrics(program, host);
  program.commandsGroup('Rights of persons:');
  defineErase(program, host);
  defineErasureCommands(program, host);
  defineCertificateCommands(program, host);
  return program;
}
