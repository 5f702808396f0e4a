import { PredictionMade } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import {
  CsatGiven,
  Escalated,
  FirstReplied,
  MessageAdded,
  Reopened,
  Solved,
  StatusChanged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import {
  ApiCalled,
  AutomationRun,
  ExportRun,
  FeatureUsed,
  QueryRun,
  SeatActive,
  TokensUsed,
} from '@lethe/proto/gen/lethe/usage/v1/events.ts';
import { activities, closedCode } from './dimensions.ts';
import { type FamilyLayout, layouts, measureIndex } from './families.ts';

/** What one event adds to one cell of one family. */
export interface CellChange {
  readonly layout: FamilyLayout;
  /** Closed codes, in the order of the family's dimensions. */
  readonly codes: readonly number[];
  /** The first one is the count that a contribution cap sees. */
  readonly adds: readonly Addition[];
}

export interface Addition {
  /** Place among the family's measures. */
  readonly measure: number;
  readonly amount: bigint;
}

/** Reads an event without content and Persons and says what it changes. Throws when the bytes are no such event. */
type Rule = (eventBytes: Uint8Array) => readonly CellChange[];

interface TicketDimensions {
  readonly channel: number;
  readonly priority: number;
  readonly category: number;
}

const nothing: readonly CellChange[] = [];
const undimensioned: TicketDimensions = { channel: 0, priority: 0, category: 0 };

function change(
  layout: FamilyLayout,
  codes: readonly number[],
  adds: readonly Addition[],
): readonly CellChange[] {
  const closed = layout.dimensions.map((dimension, place) =>
    closedCode(dimension, codes[place] ?? 0),
  );
  return [{ layout, codes: closed, adds }];
}

function one(layout: FamilyLayout, measureName: string): readonly Addition[] {
  return [{ measure: measureIndex(layout.family, measureName), amount: 1n }];
}

function ticketRule<Facts extends { dimensions?: TicketDimensions | undefined }>(
  decode: (bytes: Uint8Array) => { readonly facts?: Facts | undefined },
  measureName: string,
): Rule {
  const adds = one(layouts.ticket_flow, measureName);
  return (bytes) => {
    const at = decode(bytes).facts?.dimensions ?? undimensioned;
    return change(layouts.ticket_flow, [at.channel, at.priority, at.category], adds);
  };
}

const created = one(layouts.ticket_flow, 'created');
const replies = one(layouts.ticket_flow, 'replies');
const changes = one(layouts.ticket_status, 'changes');
const made = one(layouts.predictions, 'made');
const responses = measureIndex(layouts.csat.family, 'responses');
const scoreSum = measureIndex(layouts.csat.family, 'score_sum');
const used = measureIndex(layouts.usage.family, 'used');
const quantity = measureIndex(layouts.usage.family, 'quantity_milli');

function ticketOpened(bytes: Uint8Array): readonly CellChange[] {
  const facts = TicketOpened.decode(bytes).facts;
  // TicketOpened says its dimensions itself; the stamped ones are those that the service understood.
  const at = facts?.dimensions ?? facts ?? undimensioned;
  return change(layouts.ticket_flow, [at.channel, at.priority, at.category], created);
}

function messageAdded(bytes: Uint8Array): readonly CellChange[] {
  const facts = MessageAdded.decode(bytes).facts;
  if (facts?.isPublic !== true || facts.authorKind !== AuthorKind.AUTHOR_KIND_AGENT) return nothing;
  const at = facts.dimensions ?? undimensioned;
  return change(layouts.ticket_flow, [at.channel, at.priority, at.category], replies);
}

function statusChanged(bytes: Uint8Array): readonly CellChange[] {
  const facts = StatusChanged.decode(bytes).facts;
  if (facts === undefined) return nothing;
  const at = facts.dimensions ?? undimensioned;
  const codes = [facts.previousStatus, facts.status, at.channel, at.priority, at.category];
  return change(layouts.ticket_status, codes, changes);
}

function csatGiven(bytes: Uint8Array): readonly CellChange[] {
  const facts = CsatGiven.decode(bytes).facts;
  if (facts === undefined) return nothing;
  const at = facts.dimensions ?? undimensioned;
  const adds = [
    { measure: responses, amount: 1n },
    { measure: scoreSum, amount: BigInt(facts.csat) },
  ];
  return change(layouts.csat, [facts.csat, at.channel, at.priority, at.category], adds);
}

function predictionMade(bytes: Uint8Array): readonly CellChange[] {
  const facts = PredictionMade.decode(bytes).facts;
  if (facts === undefined) return nothing;
  const at = facts.dimensions ?? undimensioned;
  const codes = [facts.target, facts.model, facts.decision, at.channel, at.priority, at.category];
  return change(layouts.predictions, codes, made);
}

interface UsageFacts {
  readonly feature?: number;
  readonly result?: number;
  readonly unit: number;
  readonly quantityMilli: bigint;
}

function usageRule(
  activity: (typeof activities)[number],
  decode: (bytes: Uint8Array) => { readonly facts?: UsageFacts | undefined },
): Rule {
  const activityCode = activities.indexOf(activity);
  return (bytes) => {
    const facts = decode(bytes).facts;
    if (facts === undefined) return nothing;
    const codes = [activityCode, facts.feature ?? 0, facts.result ?? 0, facts.unit];
    const adds = [
      { measure: used, amount: 1n },
      { measure: quantity, amount: facts.quantityMilli },
    ];
    return change(layouts.usage, codes, adds);
  };
}

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['TicketOpened', ticketOpened],
  ['MessageAdded', messageAdded],
  ['StatusChanged', statusChanged],
  ['FirstReplied', ticketRule((bytes) => FirstReplied.decode(bytes), 'first_replied')],
  ['Solved', ticketRule((bytes) => Solved.decode(bytes), 'solved')],
  ['Reopened', ticketRule((bytes) => Reopened.decode(bytes), 'reopened')],
  ['Escalated', ticketRule((bytes) => Escalated.decode(bytes), 'escalated')],
  ['CsatGiven', csatGiven],
  ['PredictionMade', predictionMade],
  ['FeatureUsed', usageRule('feature_used', (bytes) => FeatureUsed.decode(bytes))],
  ['ApiCalled', usageRule('api_called', (bytes) => ApiCalled.decode(bytes))],
  ['SeatActive', usageRule('seat_active', (bytes) => SeatActive.decode(bytes))],
  ['ExportRun', usageRule('export_run', (bytes) => ExportRun.decode(bytes))],
  ['AutomationRun', usageRule('automation_run', (bytes) => AutomationRun.decode(bytes))],
  ['QueryRun', usageRule('query_run', (bytes) => QueryRun.decode(bytes))],
  ['TokensUsed', usageRule('tokens_used', (bytes) => TokensUsed.decode(bytes))],
]);

/** Whether any family counts events of this type; the boxes of others need not be opened. */
export function isCounted(eventType: string): boolean {
  return rules.has(eventType);
}

/**
 * What an event changes, at most one cell per family. `eventBytes` is the encoded event message; its facts suffice.
 * Throws when the bytes are not an event of that type.
 */
export function cellChangesOf(eventType: string, eventBytes: Uint8Array): readonly CellChange[] {
  return rules.get(eventType)?.(eventBytes) ?? nothing;
}
