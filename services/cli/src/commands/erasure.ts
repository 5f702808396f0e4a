import type { Command } from 'commander';
import { z } from 'zod';
import { Erasure, PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { withSession } from '../connection/with-session.ts';
import type { Caller, Session } from '../connection/session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { asCalled } from '../output/as-called.ts';
import { formatCount, formatMoment } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { tableText } from '../output/table.ts';
import { writeFileSafely } from '../output/write-file.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { erasureText, stateWord } from '../views/erasure.ts';
import { defineCommand, type CommandHost, type CommandInput } from './define.ts';
import { followErasure } from './follow-erasure.ts';
import { declareTenant, tenantOptions, wholeNumber } from './options.ts';

type TenantOptions = z.infer<typeof tenantOptions>;

export function defineErasureCommands(program: Command, host: CommandHost): void {
  const parent = program.command('erasure').summary('Follow erasures and fetch their certificates');
  parent.description('Erasures of one tenant. Needs the role privacy-officer.');
  defineShow(parent, host);
  defineList(parent, host);
  defineWatch(parent, host);
  defineCertificate(parent, host);
}

type Run = (officer: Caller, session: Session) => Promise<ExitCode>;

async function asOfficer(
  options: TenantOptions,
  surroundings: Surroundings,
  run: Run,
): Promise<ExitCode> {
  return await withSession(options, surroundings, async (session) => {
    const officer = session.as({ tenantId: options.tenant, roles: ['privacy-officer'] });
    return await run(officer, session);
  });
}

function defineShow(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'show <erasure>',
    summary: 'Show one erasure: its clocks and receipts',
    examples: ['erasure show 0192f0c4-1b2a-7c3d-8e4f-5a6b7c8d9e0f --tenant aldermoor-energy'],
    declare: declareTenant,
    options: tenantOptions,
    run: async ({
      options,
      operands: [erasureId = ''],
      surroundings,
    }: CommandInput<TenantOptions>) =>
      await asOfficer(options, surroundings, async (officer) => {
        const { erasure } = await officer.unary(PrivacyServiceService.getErasure, { erasureId });
        const { terminal } = surroundings;
        if (options.json) writeJson(terminal, { erasure: erasure && Erasure.toJSON(erasure) });
        else if (erasure !== undefined) terminal.out(erasureText(erasure, terminal.outStyle));
        return exitCodes.ok;
      }),
  });
}

function defineWatch(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'watch <erasure>',
    summary: 'Follow one erasure until it is completed',
    details: 'With --json it prints one line for each change.',
    examples: ['erasure watch 0192f0c4-1b2a-7c3d-8e4f-5a6b7c8d9e0f --tenant aldermoor-energy'],
    declare: declareTenant,
    options: tenantOptions,
    run: async ({
      options,
      operands: [erasureId = ''],
      surroundings,
    }: CommandInput<TenantOptions>) =>
      await asOfficer(
        options,
        surroundings,
        async (officer, session) =>
          await followErasure(session, officer, erasureId, options.json, surroundings),
      ),
  });
}

function defineList(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'list',
    summary: 'List erasures, the newest first',
    examples: ['erasure list --tenant aldermoor-energy --limit 10'],
    declare: (command) => {
      command.option('--limit <count>', 'at most so many', '50');
      declareTenant(command);
    },
    options: tenantOptions.extend({ limit: wholeNumber(1, 100_000) }),
    run: async ({ options, surroundings }) =>
      await asOfficer(options, surroundings, async (officer) => {
        const erasures = await listErasures(officer, options.limit);
        const { terminal } = surroundings;
        if (options.json)
          writeJson(terminal, { erasures: erasures.map((erasure) => Erasure.toJSON(erasure)) });
        else
          terminal.out(asCalled(listText(erasures, terminal.outStyle), surroundings.commandName));
        return exitCodes.ok;
      }),
  });
}

async function listErasures(officer: Caller, limit: number): Promise<readonly Erasure[]> {
  const erasures: Erasure[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(200, limit - erasures.length);
    const page = await officer.unary(PrivacyServiceService.listErasures, { pageSize, pageToken });
    erasures.push(...page.erasures);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && erasures.length < limit);
  return erasures;
}

function listText(erasures: readonly Erasure[], style: Style): string {
  if (erasures.length === 0) {
    return 'No erasures yet. Is it the right tenant? `lethe tenant list` names them all.\n';
  }
  const columns = [
    { title: 'erasure' },
    { title: 'state' },
    { title: 'requested' },
    { title: 'tickets', align: 'right' },
    { title: 'keys', align: 'right' },
    { title: 'receipts', align: 'right' },
  ] as const;
  const rows = erasures.map((erasure) => [
    erasure.erasureId,
    stateWord(erasure.state),
    formatMoment(erasure.requestedAt),
    formatCount(erasure.tickets),
    formatCount(erasure.keysDestroyed),
    `${erasure.receipts.length} of ${erasure.obligedServices.length}`,
  ]);
  return tableText(columns, rows, style);
}

function defineCertificate(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'certificate <erasure>',
    summary: 'Fetch the signed certificate of a completed erasure',
    details: 'Check it offline with `lethe certificate verify`.',
    examples: [
      'erasure certificate 0192f0c4-1b2a-7c3d-8e4f-5a6b7c8d9e0f --tenant aldermoor-energy -o erasure.jws',
    ],
    declare: (command) => {
      command.option('-o, --output <file>', 'write it there; default: stdout');
      declareTenant(command);
    },
    options: tenantOptions.extend({ output: z.string().min(1).optional() }),
    run: async ({ options, operands: [erasureId = ''], surroundings }) =>
      await asOfficer(options, surroundings, async (officer) => {
        const answer = await officer.unary(PrivacyServiceService.getCertificate, { erasureId });
        const { terminal } = surroundings;
        if (options.output !== undefined)
          await writeFileSafely(options.output, `${answer.certificateJws}\n`);
        if (options.json)
          writeJson(terminal, { certificateJws: answer.certificateJws, file: options.output });
        else
          terminal.out(
            options.output === undefined ? `${answer.certificateJws}\n` : `${options.output}\n`,
          );
        return exitCodes.ok;
      }),
  });
}
