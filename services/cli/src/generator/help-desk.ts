import type { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { NewUsageEvent } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import { generatePerson, type GeneratedPerson, type GeneratedRequester } from './people.ts';
import { predictAbout } from './predictions.ts';
import { createSeededRandom, type SeededRandom } from './random.ts';
import { tenantProfiles, type TenantProfile } from './tenants.ts';
import { tellTicketStory, type TicketStory } from './ticket-story.ts';
import { generateUsage } from './usage.ts';
import { dayMs, sampleArrivalMs, type Period } from './working-time.ts';

/** Everything that a generated help desk follows from: equal settings give equal events, byte for byte. */
export interface HelpDeskSettings {
  readonly seed: string;
  /** The present of the help desk, milliseconds since 1970 UTC: all events lie before it. */
  readonly anchorMs: number;
  readonly tenants: number;
  readonly days: number;
  /** About so many events in all families and tenants together. */
  readonly events: number;
}

export const defaultHelpDesk = { seed: 'lethe', tenants: 12, days: 90, events: 20_000 } as const;

/** A ticket with what the models said about it. */
export interface GeneratedTicket extends TicketStory {
  readonly predictions: readonly NewPredictionEvent[];
}

export interface GeneratedTenant {
  readonly profile: TenantProfile;
  readonly agents: readonly GeneratedPerson[];
  readonly requesters: readonly GeneratedRequester[];
  /** Ordered by opening. */
  readonly tickets: readonly GeneratedTicket[];
  readonly usage: readonly NewUsageEvent[];
}

/** Of all events, the share that ticket stories and predictions together take; usage fills up the rest. */
const ticketShare = 0.74;
/** Measured: ticket and prediction events of an average ticket. It only sets how many tickets there are. */
const eventsPerTicket = 19.2;

/** One tenant at a time, so that memory stays bounded by the largest of them. */
export function* generateHelpDesk(
  settings: HelpDeskSettings,
): Generator<GeneratedTenant, undefined> {
  const profiles = tenantProfiles(settings.tenants);
  const weightSum = profiles.reduce((sum, profile) => sum + profile.weight, 0);
  for (const profile of profiles) {
    const events = Math.round((settings.events * profile.weight) / weightSum);
    yield generateTenant(settings, profile, events);
  }
  return undefined;
}

function generateTenant(
  settings: HelpDeskSettings,
  profile: TenantProfile,
  events: number,
): GeneratedTenant {
  const label = `${settings.seed}/${settings.anchorMs}/${profile.tenantId}`;
  const period: Period = {
    startMs: settings.anchorMs - settings.days * dayMs,
    endMs: settings.anchorMs,
  };
  const ticketCount = Math.max(1, Math.round((events * ticketShare) / eventsPerTicket));
  const agents = Array.from({ length: profile.agents }, (_, index) =>
    generatePerson(
      createSeededRandom(`${label}/agent/${index}`),
      { label, tenantId: profile.tenantId, index },
      'agent',
    ),
  );
  const requesters = generateRequesters(label, profile, Math.max(3, Math.round(ticketCount * 0.7)));
  const tickets = generateTickets({ label, profile, period, agents, requesters, ticketCount });
  const soFar = tickets.reduce(
    (sum, ticket) => sum + ticket.events.length + ticket.predictions.length,
    0,
  );
  const usage = generateUsage(
    createSeededRandom(`${label}/usage`),
    { tenant: profile, agents, endUsers: requesters },
    period,
    Math.max(1, events - soFar),
  );
  return { profile, agents, requesters, tickets, usage };
}

function generateRequesters(
  label: string,
  profile: TenantProfile,
  count: number,
): GeneratedRequester[] {
  return Array.from({ length: count }, (_, index) => {
    const random = createSeededRandom(`${label}/requester/${index}`);
    const person = generatePerson(
      random,
      { label, tenantId: profile.tenantId, index },
      'requester',
    );
    return {
      ...person,
      language: random.pickWeighted(profile.languages),
      tier: random.pickWeighted(profile.tiers),
    };
  });
}

interface TicketPlan {
  readonly label: string;
  readonly profile: TenantProfile;
  readonly period: Period;
  readonly agents: readonly GeneratedPerson[];
  readonly requesters: readonly GeneratedRequester[];
  readonly ticketCount: number;
}

function generateTickets(plan: TicketPlan): GeneratedTicket[] {
  const arrivals = createSeededRandom(`${plan.label}/arrivals`);
  const openedAtMs = Array.from({ length: plan.ticketCount }, () =>
    sampleArrivalMs(arrivals, plan.period, plan.profile.utcOffsetH),
  ).toSorted((left, right) => left - right);
  return openedAtMs.map((atMs, index) => generateTicket(plan, index, atMs));
}

function generateTicket(plan: TicketPlan, index: number, openedAtMs: number): GeneratedTicket {
  const { label, profile, agents, requesters, period } = plan;
  const ticketId = `${profile.ticketPrefix}-T${String(index + 1).padStart(6, '0')}`;
  const random = createSeededRandom(`${label}/ticket/${ticketId}`);
  const requester = requesterOf(random, requesters);
  const cc = random.chance(0.06) ? [requesterOf(random, requesters)] : [];
  const cast = {
    tenant: profile,
    ticketId,
    label,
    requester,
    agents,
    cc: cc.filter((person) => person !== requester),
  };
  const story = tellTicketStory(random, cast, openedAtMs, period.endMs);
  const predictions = predictAbout(
    createSeededRandom(`${label}/predict/${ticketId}`),
    story,
    period.endMs,
  );
  return { ...story, predictions };
}

function requesterOf(
  random: SeededRandom,
  requesters: readonly GeneratedRequester[],
): GeneratedRequester {
  return requesters[random.skewedIndex(requesters.length)] ?? random.pick(requesters);
}
