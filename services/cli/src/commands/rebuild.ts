import type { Command } from 'commander';
import { z } from 'zod';
import {
  AnalyticsRebuildServiceService,
  PredictionsRebuildServiceService,
  type RebuildReport,
  TicketsRebuildServiceService,
  UsageRebuildServiceService,
} from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { CliError, usageError } from '../failures/cli-error.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { showRebuildProgress } from '../views/rebuild-progress.ts';
import { rebuildJson, rebuildText } from '../views/rebuild.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { connectionOptions, declareConnection } from './options.ts';
import { platformAdmin } from './tenant.ts';

/** What can be rebuilt, and the method of its owner. */
const rebuilds = {
  tickets: TicketsRebuildServiceService.rebuild,
  predictions: PredictionsRebuildServiceService.rebuild,
  usage: UsageRebuildServiceService.rebuild,
  ledger: AnalyticsRebuildServiceService.rebuild,
} as const;

const options = connectionOptions.extend({
  check: z.boolean().default(false),
  acceptDifferences: z.boolean().default(false),
});

export function defineRebuild(program: Command, host: CommandHost): void {
  const words = Object.keys(rebuilds).join('|');
  defineCommand(program, host, {
    usage: `rebuild <${words}>`,
    summary: 'Build tables anew from the log, compare, and swap when they are equal',
    details: `Reads the log from its beginning into fresh tables beside the live ones, which serve on; compares them row by row; puts them in the place of the live ones when they are equal. Differing rows are named by their ids, and nothing is swapped then unless --accept-differences says so: the log's word wins. With --check nothing is swapped at all.
Erased records are not on the log. Streams that an erasure is removing keep the rows they have; chunks of the ledger with erased records are copied by the hash of their rows, counted and named.
The rebuild lasts as long as this command: ending it undoes it, and the live tables stay as they were. One rebuild of a service runs at a time. Needs the role platform-admin. Exit code 1 when rows differ and nothing was swapped.`,
    examples: [
      'rebuild tickets --check',
      'rebuild ledger',
      'rebuild predictions --accept-differences --json',
    ],
    declare: (command) => {
      command
        .option('--check', 'compare and change nothing')
        .option('--accept-differences', 'swap although rows differ');
      declareConnection(command);
    },
    options,
    run: async ({ options: wish, operands, surroundings }) => {
      const [what = ''] = operands;
      const method = Object.entries(rebuilds).find(([name]) => name === what)?.[1];
      if (method === undefined) {
        throw usageError(`Nothing called ${what} can be rebuilt.`, `Name one of ${words}.`);
      }
      if (wish.check && wish.acceptDifferences) {
        throw usageError('--check swaps nothing.', 'Leave out --check or --accept-differences.');
      }
      const request = { checkOnly: wish.check, acceptDifferences: wish.acceptDifferences };
      return withSession(wish, surroundings, async (session) => {
        const admin = session.as(platformAdmin);
        const report = await runRebuild(admin, method, request, { what, surroundings });
        return showReport(report, { what, isCheck: wish.check, isJson: wish.json, surroundings });
      });
    },
  });
}

interface Telling {
  readonly what: string;
  readonly surroundings: Surroundings;
}

async function runRebuild(
  admin: Caller,
  method: (typeof rebuilds)[keyof typeof rebuilds],
  request: { readonly checkOnly: boolean; readonly acceptDifferences: boolean },
  { what, surroundings }: Telling,
): Promise<RebuildReport> {
  const progress = showRebuildProgress(surroundings.terminal);
  try {
    for await (const { step } of admin.serverStream(method, request)) {
      if (step?.$case === 'report') return step.value;
      if (step?.$case === 'progress') progress.show(step.value);
    }
  } finally {
    progress.end();
  }
  throw new CliError(exitCodes.failed, `The rebuild of ${what} ended without a report.`, {
    next: 'Look into the log of the server; the live tables are as they were, or swapped as a whole.',
  });
}

function showReport(
  report: RebuildReport,
  { what, isCheck, isJson, surroundings }: Telling & { isCheck: boolean; isJson: boolean },
): ExitCode {
  const { terminal } = surroundings;
  if (isJson) writeJson(terminal, { rebuilt: what, ...rebuildJson(report) });
  else terminal.out(rebuildText(what, report, isCheck, terminal.outStyle));
  return report.differences > 0n && !report.swapped ? exitCodes.failed : exitCodes.ok;
}
