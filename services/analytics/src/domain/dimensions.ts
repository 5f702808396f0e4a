import { Decision, Model, PredictionTarget } from '@lethe/proto/gen/lethe/predictions/v1/enums.ts';
import {
  Category,
  Channel,
  Priority,
  TicketStatus,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { Feature, Unit, UsageResult } from '@lethe/proto/gen/lethe/usage/v1/enums.ts';

/**
 * A closed set by which cells are told apart. The ledger holds the code, queries speak the name. Codes run from 0
 * ("unknown") without holes and are the numbers of the contract; neither code nor name is ever reused.
 */
export interface Dimension {
  readonly name: DimensionName;
  readonly description: string;
  /** Name by code: lower case, such as 'email'. */
  readonly values: readonly string[];
}

export type DimensionName =
  | 'channel'
  | 'priority'
  | 'category'
  | 'previous_status'
  | 'status'
  | 'score'
  | 'target'
  | 'model'
  | 'decision'
  | 'activity'
  | 'feature'
  | 'result'
  | 'unit';

/** What a usage event was; 0 is none of them. The codes are the field numbers of the UsageEvent union. */
export const activities = [
  'unknown',
  'feature_used',
  'api_called',
  'seat_active',
  'export_run',
  'automation_run',
  'query_run',
  'tokens_used',
] as const;

const unknown = 'unknown';

/** The value names of a generated enum, by code: 'CHANNEL_EMAIL' with prefix 'CHANNEL_' becomes 'email'. */
function namesOf(generated: Readonly<Record<string, number>>, prefix: string): readonly string[] {
  const named = Object.entries(generated).filter(([, code]) => code >= 0);
  const values = named
    .toSorted(([, left], [, right]) => left - right)
    .map(([name, code]) => (code === 0 ? unknown : name.slice(prefix.length).toLowerCase()));
  if (
    named.some(([name]) => !name.startsWith(prefix)) ||
    Math.max(...named.map(([, c]) => c)) >= values.length
  ) {
    throw new RangeError(`the enum with prefix ${prefix} has a hole or a foreign name`);
  }
  return values;
}

const statusNames = namesOf(TicketStatus, 'TICKET_STATUS_');

/** Every dimension of every family. */
export const dimensions: Readonly<Record<DimensionName, Dimension>> = {
  channel: {
    name: 'channel',
    description: 'The way by which the ticket came in.',
    values: namesOf(Channel, 'CHANNEL_'),
  },
  priority: {
    name: 'priority',
    description: 'The priority of the ticket at the event.',
    values: namesOf(Priority, 'PRIORITY_'),
  },
  category: {
    name: 'category',
    description: 'What the ticket is about.',
    values: namesOf(Category, 'CATEGORY_'),
  },
  previous_status: {
    name: 'previous_status',
    description: 'The status before the change.',
    values: statusNames,
  },
  status: { name: 'status', description: 'The status after the change.', values: statusNames },
  score: {
    name: 'score',
    description: 'The satisfaction given, 1 (worst) to 5 (best).',
    values: [unknown, '1', '2', '3', '4', '5'],
  },
  target: {
    name: 'target',
    description: 'What is predicted.',
    values: namesOf(PredictionTarget, 'PREDICTION_TARGET_'),
  },
  model: { name: 'model', description: 'Which model predicts.', values: namesOf(Model, 'MODEL_') },
  decision: {
    name: 'decision',
    description: 'What the threshold made of the score.',
    values: namesOf(Decision, 'DECISION_'),
  },
  activity: { name: 'activity', description: 'What kind of use it was.', values: activities },
  feature: {
    name: 'feature',
    description: 'Which feature was used.',
    values: namesOf(Feature, 'FEATURE_'),
  },
  result: {
    name: 'result',
    description: 'How the use ended.',
    values: namesOf(UsageResult, 'USAGE_RESULT_'),
  },
  unit: { name: 'unit', description: 'What the quantity counts.', values: namesOf(Unit, 'UNIT_') },
};

/**
 * The code as the ledger holds it. One that this version does not know becomes 0: the set stays closed, because a
 * released cube is the product of its sets.
 */
export function closedCode(dimension: Dimension, code: number): number {
  return code > 0 && code < dimension.values.length && Number.isInteger(code) ? code : 0;
}

export function isDimensionName(text: string): text is DimensionName {
  return Object.hasOwn(dimensions, text);
}

/** The code of a value's name; undefined when the set has no such name. */
export function codeOf(dimension: Dimension, valueName: string): number | undefined {
  const code = dimension.values.indexOf(valueName);
  return code < 0 ? undefined : code;
}
