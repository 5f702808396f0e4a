import type { Command } from 'commander';
import { z } from 'zod';
import { channelToJSON } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  GetTranscriptResponse,
  Ticket,
  TicketServiceService,
  type GetTicketRequest,
  type TranscriptEntry,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { withSession } from '../connection/with-session.ts';
import type { Caller } from '../connection/session.ts';
import { exitCodes } from '../exit-codes.ts';
import { asCalled } from '../output/as-called.ts';
import { enumWord } from '../output/enum-word.ts';
import { formatMoment } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { pairsText, tableText } from '../output/table.ts';
import { writeJson } from '../output/write-json.ts';
import {
  erasedMark,
  priorityWord,
  statusWord,
  textWidth,
  transcriptText,
} from '../views/transcript.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, tenantOptions, wholeNumber } from './options.ts';

export function defineTicketCommands(program: Command, host: CommandHost): void {
  const parent = program.command('ticket').summary('Read tickets and their transcripts');
  parent.description('Tickets of one tenant. Needs the role reader or privacy-officer.');
  defineShow(parent, host);
  defineList(parent, host);
}

function defineShow(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'show <ticket>',
    summary: 'Show a ticket and its transcript',
    details: `What was erased shows as ${erasedMark}. The ticket is named by its id in the help desk, or by its token, 32 hex digits as \`ticket list\` prints them.`,
    examples: [
      'ticket show 0f3c2a9d5b7e41668c1d2e3f4a5b6c7d --tenant aldermoor-energy',
      'ticket show HD-10042 --tenant aldermoor-energy --json',
    ],
    declare: (command) => {
      command.option(
        '--natural-id',
        'take <ticket> for an id of the help desk even if it looks like a token',
      );
      declareTenant(command);
    },
    options: tenantOptions.extend({ naturalId: z.boolean().default(false) }),
    run: async ({ options, operands, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const reader = session.as({ tenantId: options.tenant, roles: ['reader'] });
        const ticket = ticketRequest(operands[0] ?? '', options.naturalId);
        const { ticket: state } = await reader.unary(TicketServiceService.getTicket, { ticket });
        const transcript = await reader.unary(TicketServiceService.getTranscript, { ticket });
        const { terminal } = surroundings;
        if (options.json) {
          writeJson(terminal, {
            ticket: state && Ticket.toJSON(state),
            transcript: GetTranscriptResponse.toJSON(transcript),
          });
        } else {
          if (state !== undefined) {
            const naturalId = naturalIdOf(transcript.entries) ?? '-';
            terminal.out(ticketText(state, naturalId, terminal.outStyle));
          }
          const wish = { widthMax: textWidth(terminal) };
          terminal.out(`\n${transcriptText(transcript.entries, terminal.outStyle, wish)}`);
        }
        return exitCodes.ok;
      }),
  });
}

/** The id in the help desk, which the opening alone carries. */
function naturalIdOf(entries: readonly TranscriptEntry[]): string | undefined {
  for (const { event } of entries) {
    if (event?.event?.$case !== 'ticketOpened') continue;
    return event.event.value.content?.naturalId || undefined;
  }
  return undefined;
}

/** 32 hex digits are a token unless the caller says otherwise. */
export function ticketRequest(
  text: string,
  isNaturalId: boolean,
): NonNullable<GetTicketRequest['ticket']> {
  return !isNaturalId && /^[0-9a-f]{32}$/.test(text)
    ? { $case: 'ticketToken', value: text }
    : { $case: 'ticketId', value: text };
}

function ticketText(ticket: Ticket, naturalId: string, style: Style): string {
  const { dimensions } = ticket;
  return pairsText(
    [
      ['ticket', ticket.ticketToken],
      ['id', naturalId],
      ['subject', ticket.subject || (ticket.requesterErased ? erasedMark : '-')],
      ['requester', ticket.requesterErased ? erasedMark : ticket.requesterName || '-'],
      ['person token', ticket.requesterToken || '-'],
      ['status', statusWord(ticket.status)],
      ['priority', priorityWord(dimensions?.priority ?? 0)],
      ['channel', enumWord(channelToJSON(dimensions?.channel ?? 0), 'CHANNEL_')],
      ['opened', formatMoment(ticket.openedAt)],
      ['first reply', formatMoment(ticket.firstRepliedAt)],
      ['solved', formatMoment(ticket.solvedAt)],
      ['events', `${ticket.events} (${ticket.replies} replies, ${ticket.reopens} reopened)`],
    ],
    style,
  );
}

function defineList(parent: Command, host: CommandHost): void {
  defineCommand(parent, host, {
    usage: 'list',
    summary: 'List tickets, the newest opened first',
    examples: ['ticket list --tenant aldermoor-energy --limit 20'],
    declare: (command) => {
      command.option('--limit <count>', 'at most so many', '20');
      declareTenant(command);
    },
    options: tenantOptions.extend({ limit: wholeNumber(1, 100_000) }),
    run: async ({ options, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const reader = session.as({ tenantId: options.tenant, roles: ['reader'] });
        const tickets = await listTickets(reader, options.limit);
        const { terminal } = surroundings;
        if (options.json)
          writeJson(terminal, { tickets: tickets.map((ticket) => Ticket.toJSON(ticket)) });
        else terminal.out(asCalled(listText(tickets, terminal.outStyle), surroundings.commandName));
        return exitCodes.ok;
      }),
  });
}

async function listTickets(reader: Caller, limit: number): Promise<readonly Ticket[]> {
  const tickets: Ticket[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(200, limit - tickets.length);
    const page = await reader.unary(TicketServiceService.listTickets, { pageSize, pageToken });
    tickets.push(...page.tickets);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && tickets.length < limit);
  return tickets;
}

function listText(tickets: readonly Ticket[], style: Style): string {
  if (tickets.length === 0) {
    return 'No tickets yet. Is it the right tenant? `lethe tenant list` names them all.\n';
  }
  const columns = [
    { title: 'ticket' },
    { title: 'opened' },
    { title: 'status' },
    { title: 'priority' },
    { title: 'requester' },
    { title: 'subject' },
  ];
  const rows = tickets.map((ticket) => [
    ticket.ticketToken,
    formatMoment(ticket.openedAt).slice(0, 16),
    statusWord(ticket.status),
    priorityWord(ticket.dimensions?.priority ?? 0),
    ticket.requesterErased ? erasedMark : ticket.requesterName,
    ticket.subject,
  ]);
  return tableText(columns, rows, style);
}
