import { type Dimension, type DimensionName, dimensions } from './dimensions.ts';
import type { ReleaseGrain } from './time-buckets.ts';

/**
 * The metric families as data: what a cell is told apart by and what is counted in it. One ledger table each.
 * A family's version rises when a dimension or measure is added; nothing is ever renamed or taken away within the
 * projection version.
 */
export interface MetricFamily {
  /** Also the name of its ledger table. */
  readonly name: FamilyName;
  readonly version: number;
  readonly description: string;
  /** In the order of the ledger's row key. */
  readonly dimensions: readonly DimensionName[];
  readonly measures: readonly Measure[];
  readonly release: ReleaseRule;
}

export interface Measure {
  readonly name: string;
  /** `count` adds 1 for an event, `sum` adds a number that the event states. */
  readonly kind: 'count' | 'sum';
  readonly description: string;
}

/** How contributions to this family are capped; accept.ts decides by it. */
export interface ReleaseRule {
  /** Whose contribution is capped. Agents get families of their own. */
  readonly protectedUnit: 'requester';
  /** Each grain has accept decisions of its own. */
  readonly grains: readonly ReleaseGrain[];
  /** The dimensions of a released cell: a part of the family's. */
  readonly dimensions: readonly DimensionName[];
  /**
   * `first-events`: the first M events of the month, one per released cell. `chosen-days`, for activity that recurs:
   * one event a day on M days of the month, chosen by the contributor's hash; otherwise the first of the month would
   * always win. For the grain `day` alone.
   */
  readonly cap: 'first-events' | 'chosen-days';
}

export type FamilyName = 'ticket_flow' | 'ticket_status' | 'csat' | 'predictions' | 'usage';

/**
 * Raised when a fold of the same records would give other rows; a rebuild fills the new version beside the old one.
 * It is part of every ledger row's key.
 */
export const projectionVersion = 1;

/**
 * Accepted events per protected unit, family, grain and calendar month. A release's noise grows with the square root of
 * it; with less, more of what a busy person does is missing from the release.
 */
export const acceptedPerMonthMax = 8;

const ticketDimensions = ['channel', 'priority', 'category'] as const;

/** In a fixed order: accept decisions and tables follow it. New families are added at the end. */
export const families = [
  {
    name: 'ticket_flow',
    version: 1,
    description: 'What happens to tickets: opened, answered, solved, reopened, escalated.',
    dimensions: ticketDimensions,
    measures: [
      { name: 'created', kind: 'count', description: 'Tickets opened.' },
      { name: 'replies', kind: 'count', description: 'Public replies by human agents.' },
      {
        name: 'first_replied',
        kind: 'count',
        description: 'Tickets that got their first public human reply.',
      },
      { name: 'solved', kind: 'count', description: 'Solvings; a ticket may be solved again.' },
      { name: 'reopened', kind: 'count', description: 'Reopenings.' },
      { name: 'escalated', kind: 'count', description: 'Escalations.' },
    ],
    release: {
      protectedUnit: 'requester',
      grains: ['day'],
      dimensions: ticketDimensions,
      cap: 'first-events',
    },
  },
  {
    name: 'ticket_status',
    version: 1,
    description: 'Changes of status.',
    dimensions: ['previous_status', 'status', ...ticketDimensions],
    measures: [{ name: 'changes', kind: 'count', description: 'Changes of status.' }],
    release: {
      protectedUnit: 'requester',
      grains: ['day'],
      // With the category the cube would have more than 50,000 cells a day.
      dimensions: ['previous_status', 'status', 'channel', 'priority'],
      cap: 'first-events',
    },
  },
  {
    name: 'csat',
    version: 1,
    description: 'Satisfaction given by requesters.',
    dimensions: ['score', ...ticketDimensions],
    measures: [
      { name: 'responses', kind: 'count', description: 'Answers given.' },
      { name: 'score_sum', kind: 'sum', description: 'Sum of the scores given.' },
    ],
    release: {
      protectedUnit: 'requester',
      // Answers are rare: a day of them would drown in its noise.
      grains: ['week'],
      dimensions: ['score', ...ticketDimensions],
      cap: 'first-events',
    },
  },
  {
    name: 'predictions',
    version: 1,
    description: 'Predictions made about tickets.',
    dimensions: ['target', 'model', 'decision', ...ticketDimensions],
    measures: [{ name: 'made', kind: 'count', description: 'Predictions made.' }],
    release: {
      protectedUnit: 'requester',
      grains: ['day'],
      dimensions: ['target', 'model', 'decision', 'channel'],
      cap: 'first-events',
    },
  },
  {
    name: 'usage',
    version: 1,
    description: "Use of the product by the tenant's people.",
    dimensions: ['activity', 'feature', 'result', 'unit'],
    measures: [
      { name: 'used', kind: 'count', description: 'Uses.' },
      {
        name: 'quantity_milli',
        kind: 'sum',
        description: 'Quantity in thousandths of the unit.',
      },
    ],
    release: {
      protectedUnit: 'requester',
      grains: ['day'],
      dimensions: ['activity', 'feature', 'result'],
      cap: 'chosen-days',
    },
  },
] as const satisfies readonly MetricFamily[];

/** Families by name, with what the hot path would otherwise look up per event. */
export interface FamilyLayout {
  readonly family: MetricFamily;
  /** Place in `families`. */
  readonly index: number;
  readonly dimensions: readonly Dimension[];
  /** Places of the released dimensions within `dimensions`. */
  readonly released: readonly number[];
}

export const layouts: Readonly<Record<FamilyName, FamilyLayout>> = Object.fromEntries(
  families.map((family: MetricFamily, index): [string, FamilyLayout] => [
    family.name,
    {
      family,
      index,
      dimensions: family.dimensions.map((name) => dimensions[name]),
      released: family.release.dimensions.map((name) => family.dimensions.indexOf(name)),
    },
  ]),
) as Record<FamilyName, FamilyLayout>;

/** The place of a measure within its family. Throws a RangeError on an unknown name (a defect, not input). */
export function measureIndex(family: MetricFamily, measureName: string): number {
  const index = family.measures.findIndex(({ name }) => name === measureName);
  if (index < 0) throw new RangeError(`family ${family.name} has no measure ${measureName}`);
  return index;
}
