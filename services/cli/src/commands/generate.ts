import type { Command } from 'commander';
import { z } from 'zod';
import { withSession } from '../connection/with-session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { listCanaries } from '../generator/canaries.ts';
import { generatedEventJson } from '../generator/events.ts';
import {
  defaultHelpDesk,
  generateHelpDesk,
  type HelpDeskSettings,
} from '../generator/help-desk.ts';
import { dayMs } from '../generator/working-time.ts';
import { loadHelpDesk } from '../tour/load-help-desk.ts';
import { tallyText } from '../views/tally.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { connectionOptions, declareConnection, momentOption, wholeNumber } from './options.ts';

export const helpDeskOptions = connectionOptions.extend({
  seed: z.string().min(1),
  tenants: wholeNumber(1, 1000),
  days: wholeNumber(1, 3650),
  events: wholeNumber(1, 100_000_000),
  anchor: momentOption.optional(),
});

export function declareHelpDesk(command: Command): void {
  command
    .option('--seed <text>', 'equal seeds give equal people and events', defaultHelpDesk.seed)
    .option('--tenants <count>', 'how many tenants', String(defaultHelpDesk.tenants))
    .option('--days <count>', 'how many days of history', String(defaultHelpDesk.days))
    .option('--events <count>', 'about how many events in all', String(defaultHelpDesk.events))
    .option('--anchor <moment>', 'where the history ends; default: the start of today, UTC');
}

export function helpDeskSettings(
  options: z.infer<typeof helpDeskOptions>,
  nowMs: number,
): HelpDeskSettings {
  const { seed, tenants, days, events } = options;
  const anchorMs = options.anchor?.getTime() ?? Math.floor(nowMs / dayMs) * dayMs;
  return { seed, tenants, days, events, anchorMs };
}

const options = helpDeskOptions
  .extend({
    send: z.boolean().default(false),
    rate: wholeNumber(1, 1_000_000).optional(),
    canaries: z.boolean().default(false),
  })
  .refine(({ send, rate }) => send || rate === undefined, {
    path: ['rate'],
    error: 'goes with --send alone',
  });

export function defineGenerate(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'generate',
    summary: 'Make up a help desk: tenants, people, tickets, predictions, usage',
    details:
      'Prints one event a line as JSON, or sends them all with --send. Everything follows from the seed and the anchor, so sending twice changes nothing. Another seed makes other events under the same ids: send it to a data folder of its own. All people are invented.',
    examples: [
      'generate | head -3',
      'generate --seed demo --tenants 3 --days 30 --events 2000 --send --data ./demo',
      'generate --seed load --events 100000 --send --rate 500 --data ./load',
      'generate --canaries > canaries.jsonl',
    ],
    declare: (command) => {
      declareHelpDesk(command);
      command
        .option('--send', 'register the tenants and send the events to the server')
        .option('--rate <count>', 'with --send: at most so many events a second')
        .option(
          '--canaries',
          'print the personal texts alone: what must never be found outside of boxes',
        );
      declareConnection(command);
    },
    options,
    run: async ({ options: wish, surroundings }) => {
      const settings = helpDeskSettings(wish, surroundings.clock.nowMs());
      if (wish.send) return await send(settings, wish, surroundings);
      for (const tenant of generateHelpDesk(settings)) {
        const lines = wish.canaries ? canaryLines(tenant) : eventLines(tenant);
        for (const line of lines) await surroundings.terminal.outDrained(`${line}\n`);
      }
      return exitCodes.ok;
    },
  });
}

type Tenant = Parameters<typeof listCanaries>[0];

function* canaryLines(tenant: Tenant): Generator<string> {
  for (const canary of listCanaries(tenant)) yield JSON.stringify(canary);
}

function* eventLines(tenant: Tenant): Generator<string> {
  const { tenantId } = tenant.profile;
  for (const ticket of tenant.tickets) {
    for (const event of ticket.events)
      yield generatedEventJson(tenantId, { family: 'tickets', event });
    for (const event of ticket.predictions) {
      yield generatedEventJson(tenantId, { family: 'predictions', event });
    }
  }
  for (const event of tenant.usage) yield generatedEventJson(tenantId, { family: 'usage', event });
}

async function send(
  settings: HelpDeskSettings,
  wish: z.infer<typeof options>,
  surroundings: Surroundings,
): Promise<ExitCode> {
  return await withSession(wish, surroundings, async (session) => {
    const loaded = await loadHelpDesk(session, settings, surroundings, wish.rate);
    const { terminal } = surroundings;
    if (wish.json) writeJson(terminal, loaded);
    else terminal.out(tallyText(loaded.tally, terminal.outStyle));
    return loaded.tally.problemCount === 0 ? exitCodes.ok : exitCodes.failed;
  });
}
