import type { Command } from 'commander';
import { z } from 'zod';
import { withSession } from '../connection/with-session.ts';
import { exitCodes } from '../exit-codes.ts';
import { importFile, type ImportResult } from '../import/import-file.ts';
import { builtInMappings, readMapping } from '../import/mapping.ts';
import { formatCount, formatDuration } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { writeJson } from '../output/write-json.ts';
import { tallyText } from '../views/tally.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, tenantOptions } from './options.ts';

const options = tenantOptions.extend({
  mapping: z.string().min(1),
  allowBadRows: z.boolean().default(false),
});

export function defineImport(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'import <file>',
    summary: 'Stream a CSV file of changes into the tickets of a tenant',
    details:
      'Ids come from the source, so importing again changes nothing. A bad row is reported with its line and reason and does not stop the rest; the exit code is then 1 unless --allow-bad-rows is given. docs/import.md says which row becomes which event.',
    examples: [
      'import incidents.csv --mapping servicenow-incidents --tenant acme-support',
      'import incidents.csv --mapping ./my-mapping.json --tenant acme-support --json',
    ],
    declare: (command) => {
      command
        .requiredOption(
          '--mapping <name>',
          `${builtInMappings.join(', ')}, or the path of a .json file`,
        )
        .option('--allow-bad-rows', 'exit 0 although rows were bad');
      declareTenant(command);
    },
    options,
    run: async ({ options: wish, operands: [file = ''], surroundings }) => {
      const mapping = await readMapping(wish.mapping);
      return await withSession(wish, surroundings, async (session) => {
        const writer = session.as({ tenantId: wish.tenant, roles: ['writer'] });
        const result = await importFile(session, writer, file, mapping, surroundings);
        const { terminal } = surroundings;
        if (wish.json) writeJson(terminal, result);
        else terminal.out(importText(result, terminal.outStyle));
        const isClean = result.badRows === 0 && result.tally.problemCount === 0;
        return isClean || wish.allowBadRows ? exitCodes.ok : exitCodes.failed;
      });
    },
  });
}

function importText(
  { rows, badRows, firstBadRows, tally, tookMs }: ImportResult,
  style: Style,
): string {
  const head = `${formatCount(rows)} rows in ${formatDuration(tookMs)}: ${tallyText(tally, style)}`;
  const nothing = tally.counts.accepted === 0 ? 'Nothing was added.\n' : '';
  const shown = firstBadRows.map(
    ({ line, reason }) => `  ${style.red('✘')} line ${line}  ${reason}\n`,
  );
  const more =
    badRows > shown.length ? `  … and ${formatCount(badRows - shown.length)} more\n` : '';
  const bad = badRows === 0 ? '' : `${formatCount(badRows)} bad rows\n${shown.join('')}${more}`;
  return head + nothing + bad;
}
