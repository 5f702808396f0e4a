import { PersonKind, type Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import {
  TicketStatus,
  type Category,
  type Priority,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { TicketEvent, type DeepPartial } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { Mapping } from './mapping.ts';
import type { ParsedRow } from './parse-row.ts';

/** What is known of an incident after its latest row; undefined: not known yet. */
export interface IncidentState {
  readonly status: TicketStatus;
  readonly priority: Priority;
  readonly category: string | undefined;
  readonly subcategory: string | undefined;
  readonly group: string | undefined;
  readonly assignee: string | undefined;
  /** The latest moment of the incident so far, milliseconds since 1970 UTC. */
  readonly latestAtMs: number;
}

type EventCase = NonNullable<DeepPartial<TicketEvent>['event']>;

/**
 * The events of one row: for the first row of an incident its opening, then what differs from the row before.
 * docs/import.md says the same in words; the order within a row is category, priority, group, assignee, status, so
 * that a status change counts under the priority of its own row.
 */
export function eventsOfRow(
  mapping: Mapping,
  row: ParsedRow,
  before: IncidentState | undefined,
): { readonly events: readonly NewTicketEvent[]; readonly state: IncidentState } {
  const opening = before === undefined ? [openingEvent(mapping, row)] : [];
  const earlier = before ?? stateAtOpening(row);
  // Some sources contradict themselves about time (a change before its opening, rows out of order). The order of the
  // rows is believed: a change is never earlier than what came before it, as a late event would not move the ticket.
  const atMs = Math.max(row.changedAt.getTime(), earlier.latestAtMs);
  const changes = changesBetween(row, earlier).map(([kind, event]) =>
    NewTicketEvent.fromPartial({
      id: { $case: 'sourceId', value: changeSourceId(mapping, row, kind) },
      ticketId: row.ticketId,
      occurredAt: new Date(atMs),
      event: TicketEvent.fromPartial({ event }),
    }),
  );
  return {
    events: [...opening, ...changes],
    state: { ...stateAfter(row, earlier), latestAtMs: atMs },
  };
}

/** Every incident opens as new, whatever its first row says: the rest of that row is its first changes. */
function stateAtOpening(row: ParsedRow): IncidentState {
  return {
    status: TicketStatus.TICKET_STATUS_NEW,
    priority: row.priority,
    category: row.category,
    subcategory: row.subcategory,
    group: undefined,
    assignee: undefined,
    latestAtMs: row.openedAt.getTime(),
  };
}

function stateAfter(row: ParsedRow, before: IncidentState): IncidentState {
  return {
    ...before,
    status: row.status === 0 ? before.status : row.status,
    priority: row.priority === 0 ? before.priority : row.priority,
    category: row.category ?? before.category,
    subcategory: row.subcategory ?? before.subcategory,
    group: row.group ?? before.group,
    assignee: row.assignee ?? before.assignee,
  };
}

function openingEvent(mapping: Mapping, row: ParsedRow): NewTicketEvent {
  const sourceFields = [
    ['category', row.category],
    ['subcategory', row.subcategory],
    ...Object.entries(row.customFields),
  ] as const;
  const customFields = sourceFields.flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
  const { AUTHOR_KIND_AGENT, AUTHOR_KIND_UNSPECIFIED } = AuthorKind;
  return NewTicketEvent.fromPartial({
    id: { $case: 'sourceId', value: `${mapping.name}/${row.ticketId}/opened` },
    ticketId: row.ticketId,
    occurredAt: row.openedAt,
    event: TicketEvent.fromPartial({
      event: {
        $case: 'ticketOpened',
        value: {
          facts: {
            channel: row.channel,
            priority: row.priority,
            category: row.categoryFact,
            ticketType: mapping.ticketType,
            status: TicketStatus.TICKET_STATUS_NEW,
            authorKind: row.openedBy === undefined ? AUTHOR_KIND_UNSPECIFIED : AUTHOR_KIND_AGENT,
          },
          content: { naturalId: row.ticketId, customFields },
          requester: person(row.requester, PersonKind.PERSON_KIND_REQUESTER),
          agent: agent(row.openedBy),
        },
      },
    }),
  });
}

/**
 * One revision may appear in several rows, so the time of the change belongs to the id; the line number does not, as
 * the same row stands elsewhere in a longer export.
 */
function changeSourceId(mapping: Mapping, row: ParsedRow, kind: string): string {
  const minute = row.changedAt.toISOString().slice(0, 19);
  return `${mapping.name}/${row.ticketId}/${row.revision}/${minute}/${kind}`;
}

type Change = readonly [kind: string, event: EventCase];

function changesBetween(row: ParsedRow, before: IncidentState): readonly Change[] {
  return [
    ...categoryChange(row, before),
    ...priorityChange(row, before),
    ...groupChange(row, before),
    ...assigneeChange(row, before),
    ...statusChange(row, before),
  ];
}

function categoryChange(row: ParsedRow, before: IncidentState): readonly Change[] {
  if (row.category === undefined) return [];
  const isSubcategoryNew = row.subcategory !== undefined && row.subcategory !== before.subcategory;
  if (row.category === before.category && !isSubcategoryNew) return [];
  const content = { sourceCategory: row.category, sourceSubcategory: row.subcategory ?? '' };
  const facts: { category: Category } = { category: row.categoryFact };
  return [['category', { $case: 'categoryChanged', value: { facts, content } }]];
}

function priorityChange(row: ParsedRow, before: IncidentState): readonly Change[] {
  if (row.priority === 0 || row.priority === before.priority) return [];
  const facts = { previousPriority: before.priority, priority: row.priority };
  return [['priority', { $case: 'priorityChanged', value: { facts } }]];
}

function groupChange(row: ParsedRow, before: IncidentState): readonly Change[] {
  if (row.group === undefined || row.group === before.group) return [];
  const content = { previousGroup: before.group ?? '', group: row.group };
  return [['group', { $case: 'groupChanged', value: { facts: {}, content } }]];
}

function assigneeChange(row: ParsedRow, before: IncidentState): readonly Change[] {
  if (row.assignee === undefined || row.assignee === before.assignee) return [];
  return [['assigned', { $case: 'assigned', value: { facts: {}, assignee: agent(row.assignee) } }]];
}

function statusChange(row: ParsedRow, before: IncidentState): readonly Change[] {
  if (row.status === 0 || row.status === before.status) return [];
  const isSolved = row.status === TicketStatus.TICKET_STATUS_SOLVED;
  const isEnd = isSolved || row.status === TicketStatus.TICKET_STATUS_CLOSED;
  const solver = isSolved ? row.solvedBy : undefined;
  const { AUTHOR_KIND_AGENT, AUTHOR_KIND_UNSPECIFIED } = AuthorKind;
  const facts = {
    previousStatus: before.status,
    status: row.status,
    authorKind: solver === undefined ? AUTHOR_KIND_UNSPECIFIED : AUTHOR_KIND_AGENT,
  };
  const content = {
    sourceStatus: row.sourceStatus,
    resolution: isEnd ? (row.resolution ?? '') : '',
  };
  return [['status', { $case: 'statusChanged', value: { facts, content, agent: agent(solver) } }]];
}

/** The source knows people by one text, which is their id and their name. */
function person(text: string, kind: PersonKind): DeepPartial<Person> {
  return { kind, naturalId: text, name: text };
}

function agent(text: string | undefined): DeepPartial<Person> | undefined {
  return text === undefined ? undefined : person(text, PersonKind.PERSON_KIND_AGENT);
}
