import {
  Category,
  Channel,
  Priority,
  TicketStatus,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { Mapping } from './mapping.ts';
import type { SourceRow } from './read-rows.ts';
import { createDateParser } from './source-date.ts';

/** A row whose every used column is understood. Undefined and the zero of a closed set: the source does not know. */
export interface ParsedRow {
  readonly ticketId: string;
  readonly revision: string;
  readonly openedAt: Date;
  readonly changedAt: Date;
  readonly requester: string;
  readonly openedBy: string | undefined;
  readonly solvedBy: string | undefined;
  readonly assignee: string | undefined;
  readonly group: string | undefined;
  readonly resolution: string | undefined;
  readonly channel: Channel;
  readonly priority: Priority;
  readonly status: TicketStatus;
  readonly sourceStatus: string;
  /** As the source names it. */
  readonly category: string | undefined;
  readonly subcategory: string | undefined;
  readonly categoryFact: Category;
  readonly customFields: Readonly<Record<string, string | undefined>>;
}

/** Either the row, or everything that is wrong with it: columns and rules, never values. */
export type RowVerdict =
  | { readonly kind: 'row'; readonly row: ParsedRow }
  | { readonly kind: 'bad'; readonly reason: string };

/** Leaves room in the 256 bytes of a source id for the mapping's name, the revision and the time. */
const ticketIdBytesMax = 128;
const revisionBytesMax = 32;
const personIdBytesMax = 256;

/** Makes the row parser of a mapping. */
export function createRowParser(mapping: Mapping): (row: SourceRow) => RowVerdict {
  const parseDate = createDateParser(mapping.dates.format);
  return (row) => {
    const problems: string[] = [];
    const cells = createCells(mapping, row, parseDate, problems);
    const parsed: ParsedRow = {
      ticketId: cells.required(mapping.ticketId, ticketIdBytesMax),
      revision: cells.required(mapping.revision, revisionBytesMax),
      openedAt: cells.date(mapping.openedAt),
      changedAt: cells.date(mapping.changedAt),
      requester:
        cells.text(mapping.requester.column, personIdBytesMax) ??
        cells.filled(mapping.requester.whenUnknown),
      openedBy: cells.text(mapping.openedBy.column, personIdBytesMax),
      solvedBy: cells.text(mapping.solvedBy.column, personIdBytesMax),
      assignee: cells.text(mapping.assignee.column, personIdBytesMax),
      group: cells.text(mapping.group.column),
      resolution: cells.text(mapping.resolution.column),
      channel: cells.value(mapping.channel, Channel.CHANNEL_UNSPECIFIED),
      priority: cells.value(mapping.priority, Priority.PRIORITY_UNSPECIFIED),
      status: cells.value(mapping.status, TicketStatus.TICKET_STATUS_UNSPECIFIED),
      sourceStatus: cells.text(mapping.status.column) ?? '',
      category: cells.text(mapping.category.column),
      subcategory: cells.text(mapping.category.subcategoryColumn),
      categoryFact: cells.value(mapping.category, Category.CATEGORY_UNSPECIFIED),
      customFields: Object.fromEntries(
        mapping.customFields.map((column) => [column, cells.text(column)]),
      ),
    };
    return problems.length === 0
      ? { kind: 'row', row: parsed }
      : { kind: 'bad', reason: problems.join('; ') };
  };
}

interface EnumColumn<Value> {
  readonly column: string;
  readonly values: Readonly<Record<string, Value>>;
  readonly otherwise?: Value | undefined;
  readonly whenUnknown?: Value | undefined;
}

/** Readers of single cells; what is wrong goes into `problems`, so that a row says all of it at once. */
function createCells(
  mapping: Mapping,
  { values }: SourceRow,
  parseDate: (text: string) => Date | undefined,
  problems: string[],
) {
  const text = (column: string, bytesMax = Number.POSITIVE_INFINITY): string | undefined => {
    const value = (values[column] ?? '').trim();
    if (mapping.unknown.includes(value)) return undefined;
    if (Buffer.byteLength(value) > bytesMax)
      problems.push(`${column}: is longer than ${bytesMax} bytes`);
    return value;
  };
  const required = (column: string, bytesMax: number): string => {
    const value = text(column, bytesMax);
    if (value === undefined) problems.push(`${column}: is missing`);
    return value ?? '';
  };
  const date = (column: string): Date => {
    const moment = parseDate(values[column] ?? '');
    if (moment === undefined)
      problems.push(`${column}: must be a date of the form ${mapping.dates.format}`);
    return moment ?? new Date(0);
  };
  const value = <Value>(wish: EnumColumn<Value>, zero: Value): Value => {
    const cell = text(wish.column);
    const listed =
      cell !== undefined && Object.hasOwn(wish.values, cell) ? wish.values[cell] : wish.otherwise;
    const mapped = cell === undefined ? wish.whenUnknown : listed;
    const problem = cell === undefined ? 'is missing' : 'the mapping does not list this value';
    if (mapped === undefined) problems.push(`${wish.column}: ${problem}`);
    return mapped ?? zero;
  };
  const filled = (template: string): string =>
    template.replaceAll(/\{(\w+)\}/g, (_, column: string) => values[column] ?? '');
  return { text, required, date, value, filled };
}
