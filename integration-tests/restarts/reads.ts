import { CallError } from '@lethe/cli/calls/call-error.ts';
import { createSeededRandom, type SeededRandom } from '@lethe/cli/generator/random.ts';
import type { GeneratedTicket } from '@lethe/cli/generator/help-desk.ts';
import { AnalyticsServiceService, Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { answerOf, wordsOf } from '../faults/check-served.ts';
import type { PatientClient } from '../faults/client.ts';
import type { TenantModel, TicketModel } from '../faults/model.ts';

/** Reads what was acknowledged and compares it with what was sent. */
export interface Reader {
  /** A tenant that will be sent. */
  expect(tenant: TenantModel): void;
  /** Of these tickets everything is acknowledged. */
  readonly add: (tenant: string, tickets: readonly GeneratedTicket[]) => void;
  /** From now on the person's tickets may be gone at any moment. */
  forget(tenant: string, naturalId: string): void;
  /** One call; none while there is nothing to read. */
  read(): Promise<void>;
  /** Answers by what was asked for. */
  readonly counts: ReadonlyMap<string, number>;
  readonly violations: readonly string[];
}

interface ReadableTicket {
  readonly tenant: string;
  readonly model: TicketModel;
  readonly predictions: number;
}

/** Newer ones take the places of older ones. */
const ticketsMax = 500;

interface Kind {
  readonly name: string;
  /** Answers what is wrong. */
  readonly read: (client: PatientClient, ticket: ReadableTicket) => Promise<string | undefined>;
}

const kinds: readonly Kind[] = [
  { name: 'GetTicket', read: readTicket },
  { name: 'GetTranscript', read: readTranscript },
  { name: 'ListPredictions', read: readPredictions },
  { name: 'QueryMetric', read: readMetric },
  { name: 'ListErasures', read: readErasures },
];

export function createReader(client: PatientClient, seed: string): Reader {
  const random: SeededRandom = createSeededRandom(`reads/${seed}`);
  const expected = new Map<string, TicketModel>();
  const tickets: ReadableTicket[] = [];
  const gone = new Set<string>();
  const counts = new Map<string, number>();
  const violations: string[] = [];
  const keep = (ticket: ReadableTicket) => {
    if (tickets.length < ticketsMax) tickets.push(ticket);
    else tickets[random.integer(0, ticketsMax - 1)] = ticket;
  };
  const isGone = ({ tenant, model }: ReadableTicket) => gone.has(`${tenant} ${model.requester}`);
  return {
    counts,
    violations,
    expect: ({ tenantId, tickets: models }) => {
      for (const model of models) expected.set(`${tenantId} ${model.ticketId}`, model);
    },
    add: (tenant, some) => {
      for (const { cast, predictions } of some) {
        const model = expected.get(`${tenant} ${cast.ticketId}`);
        if (model === undefined) throw new RangeError(`nobody expects ${cast.ticketId}`);
        expected.delete(`${tenant} ${cast.ticketId}`);
        keep({ tenant, model, predictions: predictions.length });
      }
    },
    forget: (tenant, naturalId) => void gone.add(`${tenant} ${naturalId}`),
    read: async () => {
      const ticket = tickets.length === 0 ? undefined : random.pick(tickets);
      if (ticket === undefined || isGone(ticket)) return;
      const { name, read } = random.pick(kinds);
      const wrong = await answerTo(async () => await read(client, ticket));
      counts.set(name, (counts.get(name) ?? 0) + 1);
      // The erasure may have overtaken the read.
      if (wrong === undefined || isGone(ticket)) return;
      violations.push(`${ticket.tenant}, ${ticket.model.ticketId}: ${name}: ${wrong}`);
    },
  };
}

/** What was erased answers so; whether it was to be there is for the caller to say. */
async function answerTo(read: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CallError && error.details.reason === 'TICKET_ERASED') {
      return error.details.reason;
    }
    throw error;
  }
}

const readerOf = (tenant: string) => ({ tenant, roles: ['reader'] });

function differs(is: string | number, should: string | number): string | undefined {
  return is === should ? undefined : `is ${is} and must be ${should}`;
}

async function readTicket(client: PatientClient, { tenant, model }: ReadableTicket) {
  return differs(await answerOf(client, tenant, model.ticketId), wordsOf(model));
}

async function readTranscript(client: PatientClient, { tenant, model }: ReadableTicket) {
  const { entries } = await client.call(
    TicketServiceService.getTranscript,
    { ticket: { $case: 'ticketId', value: model.ticketId } },
    readerOf(tenant),
  );
  const ids = new Set(entries.map(({ eventId }) => eventId));
  return differs(`${entries.length} of ${ids.size}`, `${model.events} of ${model.events}`);
}

async function readPredictions(client: PatientClient, ticket: ReadableTicket) {
  if (ticket.predictions === 0) return undefined;
  const { entries } = await client.call(
    PredictionServiceService.listPredictions,
    { ticket: { $case: 'ticketId', value: ticket.model.ticketId } },
    readerOf(ticket.tenant),
  );
  return differs(entries.length, ticket.predictions);
}

/** How much is counted depends on how far the ledger is: the end of the run compares that. */
async function readMetric(client: PatientClient, { tenant }: ReadableTicket) {
  const asked = {
    metricId: 'created',
    metricVersion: 0,
    from: undefined,
    to: undefined,
    grain: Grain.GRAIN_TOTAL,
    dimensions: [],
    filters: [],
  };
  await client.call(AnalyticsServiceService.queryMetric, asked, readerOf(tenant));
  return undefined;
}

async function readErasures(client: PatientClient, { tenant }: ReadableTicket) {
  const page = { pageSize: 10, pageToken: '' };
  const claims = { tenant, roles: ['privacy-officer'] };
  await client.call(PrivacyServiceService.listErasures, page, claims);
  return undefined;
}
