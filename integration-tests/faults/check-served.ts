import { CallError } from '@lethe/cli/calls/call-error.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { openApi } from '../harness/api.ts';
import { allFigures, figuresComplete } from '../harness/figures.ts';
import type { PatientClient } from './client.ts';
import type { TenantModel, TicketModel } from './model.ts';

/** What the services answer, against the model. */
export interface CheckedAnswers {
  readonly figures: number;
  readonly tickets: number;
  readonly erasedTickets: number;
  readonly violations: readonly string[];
}

const ticketsAtOnce = 8;
/** Seconds on an idle machine. */
const patienceMs = 300_000;

/** Every figure by day and every ticket of a tenant. `erased`: the natural ids of its erased persons. */
export async function checkAnswers(
  six: { readonly address: string; readonly dataFolder: string },
  client: PatientClient,
  { tenantId, figures: expected, tickets }: TenantModel,
  erased: ReadonlySet<string>,
): Promise<CheckedAnswers> {
  const api = openApi(six.address, patienceMs);
  const token = mintOf(six.dataFolder).mint({ tenant: tenantId, roles: ['reader'] });
  const violations: string[] = [];
  try {
    await figuresComplete(api, token, Grain.GRAIN_TOTAL, patienceMs);
    const answered = await allFigures(api, token, Grain.GRAIN_DAY);
    // How many of them were late depends on the month in which the test runs.
    for (const name of new Set([...expected.keys(), ...answered.keys()])) {
      const [should, is] = [expected.get(name), answered.get(name)];
      if (name.endsWith(' late') || should === is) continue;
      violations.push(
        `${tenantId}: ${name} is ${is ?? 'nothing'} and must be ${should ?? 'nothing'}`,
      );
    }
  } finally {
    api.close();
  }
  const left = [...tickets];
  const look = async () => {
    for (let ticket = left.pop(); ticket !== undefined; ticket = left.pop()) {
      const isErased = erased.has(ticket.requester);
      const answer = await answerOf(client, tenantId, ticket.ticketId);
      const due = isErased ? 'TICKET_ERASED' : wordsOf(ticket);
      if (answer !== due) {
        violations.push(`${tenantId}: ${ticket.ticketId} is ${answer} and must be ${due}`);
      }
    }
  };
  await Promise.all(Array.from({ length: ticketsAtOnce }, look));
  const erasedTickets = tickets.filter(({ requester }) => erased.has(requester)).length;
  return { figures: expected.size, tickets: tickets.length, erasedTickets, violations };
}

/** What GetTicket says, in the words of `wordsOf`, or why it says nothing. */
export async function answerOf(
  client: PatientClient,
  tenant: string,
  ticketId: string,
): Promise<string> {
  try {
    const { ticket } = await client.call(
      TicketServiceService.getTicket,
      { ticket: { $case: 'ticketId', value: ticketId } },
      { tenant, roles: ['reader'] },
    );
    if (ticket === undefined) return 'nothing';
    const { status, replies, reopens, events } = ticket;
    return wordsOf({ status, replies, reopens, events: Number(events) });
  } catch (error) {
    if (error instanceof CallError) return error.details.reason ?? error.codeName;
    throw error;
  }
}

export function wordsOf({
  status,
  replies,
  reopens,
  events,
}: Pick<TicketModel, 'status' | 'replies' | 'reopens' | 'events'>): string {
  return `status ${status}, ${replies} replies, ${reopens} reopenings, ${events} events`;
}
