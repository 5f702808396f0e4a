import type { GeneratedTenant, GeneratedTicket } from '@lethe/cli/generator/help-desk.ts';
import {
  AppendOutcome,
  appendOutcomeToJSON,
  type AppendResult,
} from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { UsageServiceService } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import type { PatientClient, SendMethod, SendWish } from './client.ts';
import type { Gate } from './gate.ts';

/** What the client was told, over all tenants. */
export interface Acknowledged {
  /** Event ids as the server names them, by tenant. */
  readonly ids: ReadonlyMap<string, ReadonlySet<string>>;
  readonly accepted: number;
  /** Sent again after an answer that was lost. */
  readonly duplicates: number;
}

export interface HelpDeskSender {
  /** Sends everything of one tenant. */
  readonly send: (tenant: GeneratedTenant) => Promise<void>;
  acknowledged(): Acknowledged;
}

export interface SenderOptions {
  readonly gate: Pick<Gate, 'open' | 'acknowledge'>;
  /** Events in one message. Small, so that many are on their way when something ends. Default 50. */
  readonly batchEvents?: number;
  /** Their predictions follow them, so that these are sent all along too. Default 20. */
  readonly ticketsAtOnce?: number;
  /** Every second lot goes as single calls, one for each message, instead of a stream. */
  readonly callsToo?: boolean;
  /** All events of these tickets and all predictions about them are acknowledged. */
  readonly onTickets?: (tenant: string, tickets: readonly GeneratedTicket[]) => void;
}

const { APPEND_OUTCOME_ACCEPTED, APPEND_OUTCOME_DUPLICATE } = AppendOutcome;

/** The two ways into a service. */
interface Ways<Event> {
  readonly stream: SendMethod<Event>;
  readonly call: SendMethod<Event>;
}

const ticketWays = {
  stream: TicketServiceService.streamTicketEvents,
  call: TicketServiceService.appendTicketEvents,
} as const;
const predictionWays = {
  stream: PredictionServiceService.streamPredictionEvents,
  call: PredictionServiceService.appendPredictionEvents,
} as const;
const usageWays = {
  stream: UsageServiceService.streamUsageEvents,
  call: UsageServiceService.appendUsageEvents,
} as const;
/** Messages of usage that go one way before the next ones go the other. */
const usageMessagesAtOnce = 20;

export function createHelpDeskSender(
  client: PatientClient,
  { gate, batchEvents = 50, ticketsAtOnce = 20, callsToo = false, onTickets }: SenderOptions,
): HelpDeskSender {
  const ids = new Map<string, Set<string>>();
  const counts = { accepted: 0, duplicates: 0 };
  const wishFor = (tenant: string): SendWish<unknown> => ({
    tenant,
    open: gate.open,
    onAnswer: (_events, results) => {
      takeAnswers(tenant, results, ids, counts);
      gate.acknowledge(results.length);
    },
  });
  const deliver = async <Event>(
    tenant: string,
    { stream, call }: Ways<Event>,
    events: readonly Event[],
    lot: number,
  ) => {
    const batches = slices(events, batchEvents);
    const wish = wishFor(tenant);
    if (callsToo && lot % 2 === 1) await callEach(client, call, batches, wish);
    else await client.send(stream, batches, wish);
  };
  const sendTickets = async (tenant: string, tickets: readonly GeneratedTicket[]) => {
    for (const [lot, some] of slices(tickets, ticketsAtOnce).entries()) {
      const events = some.flatMap((ticket) => ticket.events);
      const predictions = some.flatMap((ticket) => ticket.predictions);
      await deliver(tenant, ticketWays, events, lot);
      await deliver(tenant, predictionWays, predictions, lot);
      onTickets?.(tenant, some);
    }
  };
  const sendUsage = async (tenant: string, usage: GeneratedTenant['usage']) => {
    const atOnce = callsToo ? usageMessagesAtOnce * batchEvents : Math.max(1, usage.length);
    for (const [lot, some] of slices(usage, atOnce).entries()) {
      await deliver(tenant, usageWays, some, lot);
    }
  };
  return {
    send: async ({ profile: { tenantId: tenant }, tickets, usage }) => {
      ids.set(tenant, new Set());
      await client.call(PrivacyServiceService.registerTenant, newTenant(tenant), {
        roles: ['platform-admin'],
      });
      await Promise.all([sendTickets(tenant, tickets), sendUsage(tenant, usage)]);
    },
    acknowledged: () => ({ ids, ...counts }),
  };
}

function takeAnswers(
  tenant: string,
  results: readonly AppendResult[],
  ids: ReadonlyMap<string, Set<string>>,
  counts: { accepted: number; duplicates: number },
): void {
  for (const { outcome, eventId, reason } of results) {
    if (outcome === APPEND_OUTCOME_ACCEPTED) counts.accepted += 1;
    else if (outcome === APPEND_OUTCOME_DUPLICATE) counts.duplicates += 1;
    else {
      const answer = `${appendOutcomeToJSON(outcome)} ${reason}`;
      throw new Error(`an event of ${tenant} was answered ${answer}`);
    }
    ids.get(tenant)?.add(eventId);
  }
}

async function callEach<Event>(
  client: PatientClient,
  method: SendMethod<Event>,
  batches: readonly (readonly Event[])[],
  { tenant, open, onAnswer }: SendWish<Event>,
): Promise<void> {
  for (const events of batches) {
    await open();
    const claims = { tenant, roles: ['writer'] };
    const { results } = await client.call(method, { events: [...events] }, claims);
    onAnswer(events, results);
  }
}

function newTenant(tenantId: string) {
  const returningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW;
  return { tenantId, settings: { region: 'eu-central', retentionDays: 400, returningPersons } };
}

function slices<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
