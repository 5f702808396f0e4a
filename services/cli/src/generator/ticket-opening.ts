import { AuthorKind, SlaMetric } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import {
  Category,
  Channel,
  Consent,
  Priority,
  TicketStatus,
  TicketType,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { SeededRandom, Weighted } from './random.ts';
import { writeOpening } from './texts.ts';
import { scoreSentiment, type Plot } from './ticket-plot.ts';
import { firstReplyTargetMin } from './ticket-writer.ts';

const priorityMix: readonly Weighted<Priority>[] = [
  [Priority.PRIORITY_LOW, 18],
  [Priority.PRIORITY_NORMAL, 57],
  [Priority.PRIORITY_HIGH, 19],
  [Priority.PRIORITY_URGENT, 6],
];

/** The requester writes or calls; a target begins to count. */
export function openTicket(plot: Plot): void {
  const { writer, random, channel, category } = plot;
  const { cast } = writer;
  writer.priority = random.pickWeighted(priorityMix);
  const isByPhone = channel === Channel.CHANNEL_VOICE;
  const { subject, body } = writeOpening(random, category, cast.requester);
  writer.add({
    $case: 'ticketOpened',
    value: {
      facts: {
        channel,
        priority: writer.priority,
        category,
        ticketType: ticketTypeOf(category, random),
        language: cast.requester.language,
        productArea: random.pickWeighted(cast.tenant.productAreas),
        tier: cast.requester.tier,
        consent: random.chance(0.9) ? Consent.CONSENT_GRANTED : Consent.CONSENT_NOT_ASKED,
        status: TicketStatus.TICKET_STATUS_NEW,
        authorKind: isByPhone ? AuthorKind.AUTHOR_KIND_AGENT : AuthorKind.AUTHOR_KIND_REQUESTER,
      },
      content: {
        subject,
        body,
        naturalId: cast.ticketId,
        customFields: random.chance(0.3)
          ? [{ name: 'contract', value: `C-${random.digits(8)}` }]
          : [],
        device: isByPhone || random.chance(0.6) ? undefined : deviceOf(random),
      },
      requester: cast.requester.profile,
      agent: isByPhone ? writer.agent.profile : undefined,
      cc: cast.cc.map((person) => person.profile),
    },
  });
  if (plot.hasSla) applyFirstReplyTarget(plot);
  if (random.chance(0.45)) scoreSentiment(plot, undefined);
}

function applyFirstReplyTarget({ writer }: Plot): void {
  writer.add({
    $case: 'slaApplied',
    value: {
      facts: {
        slaMetric: SlaMetric.SLA_METRIC_FIRST_REPLY,
        slaTargetMin: firstReplyTargetMin[writer.priority],
        isBusinessTime: writer.priority !== Priority.PRIORITY_URGENT,
        instanceIndex: 1,
        priority: writer.priority,
      },
    },
  });
}

function ticketTypeOf(category: Category, random: SeededRandom): TicketType {
  if (category === Category.CATEGORY_OUTAGE || category === Category.CATEGORY_DEFECT)
    return TicketType.TICKET_TYPE_INCIDENT;
  return random.pickWeighted([
    [TicketType.TICKET_TYPE_QUESTION, 60],
    [TicketType.TICKET_TYPE_INCIDENT, 22],
    [TicketType.TICKET_TYPE_TASK, 14],
    [TicketType.TICKET_TYPE_PROBLEM, 4],
  ]);
}

function deviceOf(random: SeededRandom) {
  return {
    browser: random.pick(['Firefly 118', 'Meridian 12', 'Cobalt 9']),
    os: random.pick(['Tern OS 14', 'Heron 11', 'Plover 6']),
    model: random.pick(['Slate S2', 'Harbor 14', 'Pocket One']),
    deviceId: `device-${random.digits(12)}`,
    network: random.pick(['wifi', 'cellular']),
    language: 'en',
    country: random.pick(['DE', 'GB', 'US', 'FR']),
  };
}
