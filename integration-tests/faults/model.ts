import type { GeneratedTenant, GeneratedTicket } from '@lethe/cli/generator/help-desk.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import { unitToJSON } from '@lethe/proto/gen/lethe/usage/v1/enums.ts';
import type { Figures } from '../harness/figures.ts';

/**
 * What a tenant's events come to, counted from the generated events alone, with nothing of the product's own folding:
 * figures under the names of harness/figures.ts, and what GetTicket has to say of each ticket.
 */
export interface TenantModel {
  readonly tenantId: string;
  readonly figures: Figures;
  readonly tickets: readonly TicketModel[];
  /** Events that were sent. */
  readonly events: number;
}

export interface TicketModel {
  readonly ticketId: string;
  /** The natural id of the person whose erasure takes the ticket. */
  readonly requester: string;
  readonly status: TicketStatus;
  readonly replies: number;
  readonly reopens: number;
  /** The sent ones and those that the service made of them. */
  readonly events: number;
}

/** Counts and sums by figure name. */
class Tally {
  readonly #cells = new Map<string, { count: bigint; sum: bigint; hasSum: boolean }>();

  add(metric: string, at: Date | undefined, by = '', sum?: bigint): void {
    const name = `${metric} ${at?.toISOString().slice(0, 10) ?? ''}${by}`;
    const cell = this.#cells.get(name) ?? { count: 0n, sum: 0n, hasSum: sum !== undefined };
    this.#cells.set(name, { ...cell, count: cell.count + 1n, sum: cell.sum + (sum ?? 0n) });
  }

  figures(): Figures {
    return new Map(
      Array.from(this.#cells, ([name, { count, sum, hasSum }]) => [
        name,
        hasSum && sum !== 0n ? `${count} (${sum})` : `${count}`,
      ]),
    );
  }
}

export function modelOf(tenant: GeneratedTenant): TenantModel {
  const tally = new Tally();
  const tickets = tenant.tickets.map((ticket) => countTicket(tally, ticket));
  for (const { predictions } of tenant.tickets) {
    for (const { occurredAt, event } of predictions) {
      if (event?.event?.$case === 'predictionMade') tally.add('predictions_made', occurredAt);
    }
  }
  for (const event of tenant.usage) countUsage(tally, event);
  const inTickets = tenant.tickets.reduce(
    (sum, { events, predictions }) => sum + events.length + predictions.length,
    0,
  );
  const { tenantId } = tenant.profile;
  return { tenantId, figures: tally.figures(), tickets, events: inTickets + tenant.usage.length };
}

function countTicket(tally: Tally, { cast, events }: GeneratedTicket): TicketModel {
  let status: TicketStatus = TicketStatus.TICKET_STATUS_NEW;
  let [replies, reopens, made] = [0, 0, 0];
  const become = (next: TicketStatus, at: Date | undefined) => {
    if (isDone(next) !== isDone(status)) {
      made += 1;
      tally.add(isDone(next) ? 'solved' : 'reopened', at);
      if (!isDone(next)) reopens += 1;
    }
    status = next;
  };
  for (const { occurredAt: at, event } of events) {
    const what = event?.event;
    if (what?.$case === 'ticketOpened') {
      tally.add('created', at);
      become(what.value.facts?.status || TicketStatus.TICKET_STATUS_NEW, at);
    } else if (what?.$case === 'messageAdded') {
      const { isPublic, authorKind } = what.value.facts ?? {};
      if (isPublic !== true || authorKind !== AuthorKind.AUTHOR_KIND_AGENT) continue;
      tally.add('replies', at);
      if (replies === 0) {
        made += 1;
        tally.add('first_replied', at);
      }
      replies += 1;
    } else if (what?.$case === 'statusChanged') {
      tally.add('status_changes', at);
      become(what.value.facts?.status ?? status, at);
    } else if (what?.$case === 'escalated') {
      tally.add('escalated', at);
    } else if (what?.$case === 'csatGiven') {
      tally.add('csat_responses', at);
      tally.add('csat', at, '', BigInt(what.value.facts?.csat ?? 0));
    }
  }
  const { ticketId, requester } = cast;
  const person = requester.profile.naturalId;
  return { ticketId, requester: person, status, replies, reopens, events: events.length + made };
}

function isDone(status: TicketStatus): boolean {
  const done: readonly TicketStatus[] = [
    TicketStatus.TICKET_STATUS_SOLVED,
    TicketStatus.TICKET_STATUS_CLOSED,
  ];
  return done.includes(status);
}

function countUsage(tally: Tally, { occurredAt, event }: NewUsageEvent): void {
  const what = event?.event;
  if (what === undefined) return;
  tally.add('usage_events', occurredAt);
  if (what.$case === 'featureUsed') tally.add('features_used', occurredAt);
  const facts = what.value.facts;
  const unit = unitToJSON(facts?.unit ?? 0)
    .replace(/^UNIT_/, '')
    .toLowerCase();
  tally.add('usage_quantity', occurredAt, ` unit=${unit}`, facts?.quantityMilli ?? 0n);
}
