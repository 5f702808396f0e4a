import type { EventRules } from '@lethe/platform/event-store/event-rules.ts';
import { between, optional, required } from '@lethe/platform/event-store/field-rules.ts';
import type { Problems } from '@lethe/platform/grpc/parse-request.ts';
import {
  AuthorKind,
  EscalationReason,
  PersonField,
  SentimentLabel,
  SlaMetric,
} from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import {
  Category,
  Channel,
  Consent,
  Language,
  Priority,
  ProductArea,
  Tier,
  TicketStatus,
  TicketType,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { CategoryChanged, MessageAdded } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { AnyTicketEvent } from '../domain/state.ts';

const authorKind = optional(AuthorKind);
const byServiceAlone = { refused: 'is made by the tickets service alone' } as const;

/** What callers' ticket events must keep. */
export const ticketEventRules: EventRules<AnyTicketEvent> = {
  ticketOpened: {
    facts: {
      channel: required(Channel),
      priority: optional(Priority),
      category: optional(Category),
      ticketType: optional(TicketType),
      language: optional(Language),
      productArea: optional(ProductArea),
      tier: optional(Tier),
      consent: optional(Consent),
      status: optional(TicketStatus),
      authorKind,
    },
    required: ['content', 'requester'],
  },
  messageAdded: {
    facts: {
      authorKind: required(AuthorKind),
      channel: optional(Channel),
      consent: optional(Consent),
    },
    required: ['content'],
    also: requireHumanAuthor,
  },
  statusChanged: {
    facts: { previousStatus: optional(TicketStatus), status: required(TicketStatus), authorKind },
    required: [],
  },
  priorityChanged: {
    facts: { previousPriority: optional(Priority), priority: required(Priority), authorKind },
    required: [],
  },
  categoryChanged: {
    facts: {
      previousCategory: optional(Category),
      category: optional(Category),
      productArea: optional(ProductArea),
      ticketType: optional(TicketType),
      authorKind,
    },
    required: [],
    also: requireChange,
  },
  assigned: { facts: { authorKind }, required: [] },
  groupChanged: { facts: { authorKind }, required: [] },
  tagged: { facts: { authorKind }, required: ['content'] },
  untagged: { facts: { authorKind }, required: ['content'] },
  escalated: {
    facts: { escalationReason: optional(EscalationReason), authorKind },
    required: [],
  },
  deEscalated: { facts: { authorKind }, required: [] },
  merged: { facts: { authorKind }, required: ['content'] },
  slaApplied: {
    facts: { slaMetric: required(SlaMetric), priority: optional(Priority) },
    required: [],
  },
  slaPaused: { facts: { slaMetric: required(SlaMetric) }, required: [] },
  slaResumed: { facts: { slaMetric: required(SlaMetric) }, required: [] },
  slaFulfilled: {
    facts: { slaMetric: required(SlaMetric), priority: optional(Priority) },
    required: [],
  },
  slaBreached: {
    facts: { slaMetric: required(SlaMetric), priority: optional(Priority) },
    required: [],
  },
  csatRequested: { facts: { channel: optional(Channel) }, required: [] },
  csatGiven: { facts: { csat: between(1, 5), previousCsat: between(0, 5) }, required: [] },
  sentimentScored: {
    facts: { sentiment: between(0, 100), sentimentLabel: optional(SentimentLabel), authorKind },
    required: [],
  },
  annotationAdded: { facts: { authorKind }, required: ['content'] },
  personCorrected: {
    facts: { correctedFields: required(PersonField) },
    required: ['subject'],
  },
  attachmentAdded: { facts: { authorKind }, required: ['content'] },
  messagesRedacted: { refused: 'cannot be redacted yet: this server has no redaction' },
  firstReplied: byServiceAlone,
  solved: byServiceAlone,
  reopened: byServiceAlone,
};

function requireHumanAuthor(message: MessageAdded, path: string, problems: Problems): void {
  const kind = message.facts?.authorKind;
  const isHuman =
    kind === AuthorKind.AUTHOR_KIND_AGENT || kind === AuthorKind.AUTHOR_KIND_REQUESTER;
  if (isHuman && message.author === undefined) {
    problems.add(`${path}.author`, 'is required where a requester or an agent wrote');
  }
}

function requireChange({ facts }: CategoryChanged, path: string, problems: Problems): void {
  if (facts === undefined) return;
  if (facts.category === 0 && facts.productArea === 0 && facts.ticketType === 0) {
    problems.add(`${path}.facts`, 'must name a category, a product area or a ticket type');
  }
}
