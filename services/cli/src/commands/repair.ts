import type { Command } from 'commander';
import { z } from 'zod';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { CliError, usageError } from '../failures/cli-error.ts';
import { writeJson } from '../output/write-json.ts';
import { runRepair, type RepairReport } from '../server/run-repair.ts';
import type { Surroundings } from '../surroundings.ts';
import { reportText } from '../views/repair.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareJson, defaultDataFolder, jsonOption } from './options.ts';

const options = jsonOption.extend({
  data: z.string().min(1).default(defaultDataFolder),
  dryRun: z.boolean().default(false),
  yes: z.boolean().default(false),
});

type RepairOptions = z.infer<typeof options>;
type Run = typeof runRepair;

export function defineRepair(program: Command, host: CommandHost, run: Run = runRepair): void {
  defineCommand(program, host, {
    usage: 'repair',
    summary: 'Look at a data folder on which no server works, and mend it',
    details:
      'Compares event log, database and ledger with each other, says what does not fit and what it would do, and asks on a terminal; --yes answers for you. A damaged file is never deleted, it is kept aside. Ends with 1 when there is something that it cannot mend, or, with --dry-run, something to mend.',
    examples: ['repair --dry-run', 'repair', 'repair --data ./demo --yes --json'],
    declare: (command) => {
      command
        .option('--data <dir>', 'data folder', defaultDataFolder)
        .option('--dry-run', 'say what would be done and do nothing')
        .option('--yes', 'do not ask');
      declareJson(command);
    },
    options,
    run: async ({ options: wish, surroundings }) => await repair(wish, surroundings, run),
  });
}

async function repair(
  wish: RepairOptions,
  surroundings: Surroundings,
  run: Run,
): Promise<ExitCode> {
  const looked = await run(wish.data, 'look', surroundings);
  const isMendable = looked.findings.some(({ state }) => state === 'mendable');
  if (wish.dryRun || !isMendable) {
    write(looked, wish, surroundings);
    return looked.findings.length === 0 ? exitCodes.ok : exitCodes.failed;
  }
  if (!wish.yes) {
    if (!wish.json) write(looked, wish, surroundings);
    await confirm(surroundings);
  }
  const mended = await run(wish.data, 'mend', surroundings);
  write(mended, wish, surroundings);
  const isWhole = mended.findings.every(({ state }) => state === 'mended') && !mended.isCutShort;
  return isWhole ? exitCodes.ok : exitCodes.failed;
}

function write(report: RepairReport, { json }: RepairOptions, { terminal }: Surroundings): void {
  if (json) {
    const { findings, keptAside } = report;
    writeJson(terminal, { ...report, findings: [...findings], keptAside: [...keptAside] });
  } else terminal.out(reportText(report, terminal.columns, terminal.outStyle));
}

async function confirm({ terminal }: Surroundings): Promise<void> {
  if (terminal.ask === undefined) {
    throw usageError(
      'There is no terminal to ask on, so nothing was changed.',
      'Look at --dry-run, keep a copy of the data folder, then add --yes.',
    );
  }
  const question = 'Keep a copy of the data folder first. Type "repair" to go on: ';
  const answer = await terminal.ask(question);
  if (answer.trim() !== 'repair') {
    throw new CliError(exitCodes.failed, 'Not confirmed; nothing was changed.');
  }
}
