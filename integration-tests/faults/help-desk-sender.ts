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
import type { PatientClient } from './client.ts';
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

/** Small, so that many are on their way when something is killed. */
const batchEvents = 50;
/** Their predictions follow them, so that these are sent all along too. */
const ticketsAtOnce = 20;

const { APPEND_OUTCOME_ACCEPTED, APPEND_OUTCOME_DUPLICATE } = AppendOutcome;

export function createHelpDeskSender(client: PatientClient, gate: Gate): HelpDeskSender {
  const ids = new Map<string, Set<string>>();
  const counts = { accepted: 0, duplicates: 0 };
  const takeAnswers = (tenant: string, results: readonly AppendResult[]) => {
    for (const { outcome, eventId, reason } of results) {
      if (outcome === APPEND_OUTCOME_ACCEPTED) counts.accepted += 1;
      else if (outcome === APPEND_OUTCOME_DUPLICATE) counts.duplicates += 1;
      else {
        const answer = `${appendOutcomeToJSON(outcome)} ${reason}`;
        throw new Error(`an event of ${tenant} was answered ${answer}`);
      }
      ids.get(tenant)?.add(eventId);
    }
    gate.acknowledge(results.length);
  };
  const sendTickets = async (tenant: string, tickets: readonly GeneratedTicket[]) => {
    const { streamTicketEvents } = TicketServiceService;
    const { streamPredictionEvents } = PredictionServiceService;
    for (const some of slices(tickets, ticketsAtOnce)) {
      const wish = {
        tenant,
        open: gate.open,
        onAnswer: (_events: unknown, results: readonly AppendResult[]) =>
          takeAnswers(tenant, results),
      };
      const events = some.flatMap((ticket) => ticket.events);
      const predictions = some.flatMap((ticket) => ticket.predictions);
      await client.send(streamTicketEvents, slices(events, batchEvents), wish);
      await client.send(streamPredictionEvents, slices(predictions, batchEvents), wish);
    }
  };
  return {
    send: async ({ profile: { tenantId: tenant }, tickets, usage }) => {
      ids.set(tenant, new Set());
      await client.call(PrivacyServiceService.registerTenant, newTenant(tenant), {
        roles: ['platform-admin'],
      });
      await Promise.all([
        sendTickets(tenant, tickets),
        client.send(UsageServiceService.streamUsageEvents, slices(usage, batchEvents), {
          tenant,
          open: gate.open,
          onAnswer: (_events, results) => takeAnswers(tenant, results),
        }),
      ]);
    },
    acknowledged: () => ({ ids, ...counts }),
  };
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
