import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  categoryFromJSON,
  channelFromJSON,
  priorityFromJSON,
  ticketStatusFromJSON,
  ticketTypeFromJSON,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { parseJsonFile } from '../connection/data-files.ts';
import { usageError } from '../failures/cli-error.ts';

/** The mappings that come with the program, by name. */
export const builtInMappings = ['servicenow-incidents'] as const;

/** A word of a closed set of the contract, such as "voice", to its number; "unknown" is the zero value. */
function enumValue<Value extends number>(prefix: string, parse: (name: string) => Value) {
  return z
    .string()
    .transform((word) => parse(prefix + (word === 'unknown' ? 'UNSPECIFIED' : word.toUpperCase())))
    .refine((value) => value >= 0, `is no value of ${prefix.slice(0, -1).toLowerCase()}`);
}

/** How the texts of a column become values of a closed set. A text that is not listed makes a bad row. */
function enumColumn<Value extends number>(value: z.ZodType<Value, string>) {
  return z.strictObject({
    column: z.string(),
    values: z.record(z.string(), value),
    /** For texts that are not listed; without it they make a bad row. */
    otherwise: value.optional(),
    /** For the texts that mean "unknown"; without it they make a bad row. */
    whenUnknown: value.optional(),
  });
}

const personColumn = z.strictObject({ column: z.string() });
const category = enumValue('CATEGORY_', categoryFromJSON);

const mappingSchema = z.strictObject({
  /** Stands in the source ids: another name makes other events of the same file. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,40}$/, 'must be lower-case letters, digits and hyphens'),
  description: z.string(),
  dates: z.strictObject({
    /** Tokens d, m, Y, H, M, S; everything else stands for itself. */
    format: z.string().regex(/^(?=.*d)(?=.*m)(?=.*Y)/, 'must have d, m and Y'),
    timeZone: z.literal('UTC'),
  }),
  unknown: z.array(z.string()),
  ticketId: z.string(),
  revision: z.string(),
  openedAt: z.string(),
  changedAt: z.string(),
  /** `{column}` in `whenUnknown` stands for the value of a column of the row. */
  requester: z.strictObject({ column: z.string(), whenUnknown: z.string().min(1) }),
  openedBy: personColumn,
  solvedBy: personColumn,
  assignee: personColumn,
  group: z.strictObject({ column: z.string() }),
  resolution: z.strictObject({ column: z.string() }),
  ticketType: enumValue('TICKET_TYPE_', ticketTypeFromJSON),
  channel: enumColumn(enumValue('CHANNEL_', channelFromJSON)),
  priority: enumColumn(enumValue('PRIORITY_', priorityFromJSON)),
  status: enumColumn(enumValue('TICKET_STATUS_', ticketStatusFromJSON)),
  category: enumColumn(category).extend({ subcategoryColumn: z.string() }),
  /** Columns that are kept as the ticket's custom fields. */
  customFields: z.array(z.string()),
});

/** Which columns become which events: data, not code. */
export type Mapping = z.infer<typeof mappingSchema>;

/** A built-in mapping by name, or one of your own by the path of its .json file. */
export async function readMapping(nameOrFile: string): Promise<Mapping> {
  const builtIn = builtInMappings.find((name) => name === nameOrFile);
  if (builtIn === undefined && !nameOrFile.endsWith('.json')) {
    throw usageError(
      'There is no mapping of this name.',
      `Take ${builtInMappings.join(', ')}, or the path of a .json file of your own.`,
    );
  }
  const file =
    builtIn === undefined ? nameOrFile : new URL(`../mappings/${builtIn}.json`, import.meta.url);
  return parseJsonFile(nameOrFile, await readFile(file, 'utf8'), mappingSchema);
}

/** Every column that the mapping reads, each once. */
export function columnsOf(mapping: Mapping): readonly string[] {
  return [
    ...new Set([
      mapping.ticketId,
      mapping.revision,
      mapping.openedAt,
      mapping.changedAt,
      mapping.requester.column,
      mapping.openedBy.column,
      mapping.solvedBy.column,
      mapping.assignee.column,
      mapping.group.column,
      mapping.resolution.column,
      mapping.channel.column,
      mapping.priority.column,
      mapping.status.column,
      mapping.category.column,
      mapping.category.subcategoryColumn,
      ...mapping.customFields,
    ]),
  ];
}
