import type { Command } from 'commander';
import { withSession } from '../connection/with-session.ts';
import type { ConnectionOptions } from '../connection/session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageError } from '../failures/cli-error.ts';
import type { HelpDeskSettings } from '../generator/help-desk.ts';
import type { Surroundings } from '../surroundings.ts';
import { writeJson } from '../output/write-json.ts';
import { completedTour, runTour } from '../tour/run-tour.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareHelpDesk, helpDeskOptions, helpDeskSettings } from './generate.ts';
import { declareConnection } from './options.ts';
import { showStatus } from './status.ts';

export function defineTour(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'tour',
    summary: 'Let a running server show what it does',
    details:
      'Fills a made-up help desk, prints figures, erases a person and checks the proof. DATA/tour.json keeps how far it is: an interrupted tour goes on, a completed one is not repeated.',
    examples: ['tour', 'tour --events 2000 --days 30 --data ./demo'],
    declare: (command) => {
      declareHelpDesk(command);
      declareConnection(command);
    },
    options: helpDeskOptions,
    run: async ({ options, surroundings }) =>
      await tourOrStatus(
        options,
        helpDeskSettings(options, surroundings.clock.nowMs()),
        surroundings,
      ),
  });
}

/** The tour, or what there is to see after it. */
export async function tourOrStatus(
  options: ConnectionOptions & { readonly json: boolean },
  settings: HelpDeskSettings,
  surroundings: Surroundings,
): Promise<ExitCode> {
  if (options.token !== undefined) {
    throw usageError(
      'The tour speaks for the platform and for its tenants; one token cannot.',
      'Leave --token away and name the data folder of the local server with --data.',
    );
  }
  return await withSession(
    options,
    { ...surroundings, accessToken: undefined },
    async (session) => {
      const { terminal } = surroundings;
      if ((await completedTour(options.data)) !== undefined) {
        const remark = 'The tour of this data folder is completed; this is what it holds.\n\n';
        if (!options.json) terminal.out(remark);
        return await showStatus(session, options.json, surroundings);
      }
      // For machines the report alone: what the tour shows is for people.
      const watched = options.json ? silenced(surroundings) : surroundings;
      const tour = { session, surroundings: watched, dataFolder: options.data, settings };
      const report = await runTour(tour);
      if (options.json) writeJson(terminal, report);
      return report.isCompleted ? exitCodes.ok : exitCodes.failed;
    },
  );
}

function silenced(surroundings: Surroundings): Surroundings {
  return { ...surroundings, terminal: { ...surroundings.terminal, out: () => undefined } };
}
