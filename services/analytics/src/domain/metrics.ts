import { codeOf, type DimensionName, dimensions } from './dimensions.ts';
import { type FamilyLayout, type FamilyName, layouts, measureIndex } from './families.ts';

/**
 * The catalogue of metrics as data. A metric's meaning never changes: what would change it gets a new version beside
 * the old one.
 */
export interface Metric {
  readonly id: string;
  readonly version: number;
  readonly description: string;
  /** UCUM-like, such as "{ticket}". */
  readonly unit: string;
  readonly family: FamilyName;
  /** The measure that is counted. */
  readonly measure: string;
  /**
   * `count`: the measure is the answer. `mean`: sum / count. `sum`: the sum is the answer, and the count says of how
   * many events.
   */
  readonly kind: 'count' | 'mean' | 'sum';
  /** Of `mean` and `sum`: the measure that is added up. */
  readonly sumMeasure?: string;
  /** What a query may group and filter by. */
  readonly dimensions: readonly DimensionName[];
  /** Cells that count: those with this value in this dimension. */
  readonly only?: { readonly dimension: DimensionName; readonly value: string };
  /** A dimension without which the sum would add unlike things; a query groups by it or filters it to one value. */
  readonly needs?: DimensionName;
}

const ticketDimensions = ['channel', 'priority', 'category'] as const;

function flow(id: string, measure: string, description: string, unit = '{ticket}'): Metric {
  return {
    id,
    version: 1,
    description,
    unit,
    family: 'ticket_flow',
    measure,
    kind: 'count',
    dimensions: ticketDimensions,
  };
}

/** Every metric, in the order in which lists show them. */
export const metrics: readonly Metric[] = [
  flow('created', 'created', 'Tickets opened.'),
  flow('replies', 'replies', 'Public replies by human agents.', '{reply}'),
  flow('first_replied', 'first_replied', 'Tickets that got their first public human reply.'),
  flow('solved', 'solved', 'Solvings: a ticket that is reopened may be solved again.', '{solving}'),
  flow('reopened', 'reopened', 'Solved tickets that were taken up again.', '{reopening}'),
  flow('escalated', 'escalated', 'Escalations to a higher level of attention.', '{escalation}'),
  {
    id: 'status_changes',
    version: 1,
    description: 'Changes of status, by the status before and after.',
    unit: '{change}',
    family: 'ticket_status',
    measure: 'changes',
    kind: 'count',
    dimensions: ['previous_status', 'status', ...ticketDimensions],
  },
  {
    id: 'csat_responses',
    version: 1,
    description: 'Satisfaction answers; by score they are its distribution.',
    unit: '{response}',
    family: 'csat',
    measure: 'responses',
    kind: 'count',
    dimensions: ['score', ...ticketDimensions],
  },
  {
    id: 'csat',
    version: 1,
    description: 'Mean satisfaction given, 1 to 5.',
    unit: '{point}',
    family: 'csat',
    measure: 'responses',
    kind: 'mean',
    sumMeasure: 'score_sum',
    dimensions: ['score', ...ticketDimensions],
  },
  {
    id: 'predictions_made',
    version: 1,
    description: 'Predictions made about tickets, by target, model and decision.',
    unit: '{prediction}',
    family: 'predictions',
    measure: 'made',
    kind: 'count',
    dimensions: ['target', 'model', 'decision', ...ticketDimensions],
  },
  {
    id: 'features_used',
    version: 1,
    description: 'Uses of a feature by a person.',
    unit: '{use}',
    family: 'usage',
    measure: 'used',
    kind: 'count',
    dimensions: ['feature', 'result', 'unit'],
    only: { dimension: 'activity', value: 'feature_used' },
  },
  {
    id: 'usage_events',
    version: 1,
    description: 'All use of the product, by kind of activity.',
    unit: '{use}',
    family: 'usage',
    measure: 'used',
    kind: 'count',
    dimensions: ['activity', 'feature', 'result', 'unit'],
  },
  {
    id: 'usage_quantity',
    version: 1,
    description: 'Quantity used, in thousandths of its unit.',
    unit: '{thousandth of the unit}',
    family: 'usage',
    measure: 'used',
    kind: 'sum',
    sumMeasure: 'quantity_milli',
    dimensions: ['activity', 'feature', 'result', 'unit'],
    needs: 'unit',
  },
];

/** The metric with this id and version, or with its newest version when that is 0. */
export function findMetric(id: string, version: number): Metric | undefined {
  const versions = metrics.filter((metric) => metric.id === id);
  if (version !== 0) return versions.find((metric) => metric.version === version);
  return versions.toSorted((left, right) => right.version - left.version)[0];
}

/** The ledger's columns of a metric. */
export interface MetricColumns {
  readonly exact: string;
  readonly late: string;
  /** At the first of the family's released grains. */
  readonly accepted: string;
  readonly sum: string | undefined;
  /** Codes that `only` leaves, as a filter that every query of the metric has. */
  readonly only:
    { readonly dimension: DimensionName; readonly codes: readonly number[] } | undefined;
}

/** Where a metric lies in its family's table. Throws a RangeError when the catalogue contradicts the families. */
export function columnsOfMetric(metric: Metric): MetricColumns {
  const { family }: FamilyLayout = layouts[metric.family];
  measureIndex(family, metric.measure);
  if (metric.sumMeasure !== undefined) measureIndex(family, metric.sumMeasure);
  const [grain] = family.release.grains;
  if (grain === undefined) throw new RangeError(`family ${family.name} has no released grain`);
  return {
    exact: `exact_${metric.measure}`,
    late: `late_${metric.measure}`,
    accepted: `accepted_${grain}_${metric.measure}`,
    sum: metric.sumMeasure === undefined ? undefined : `exact_${metric.sumMeasure}`,
    only: onlyCodes(metric),
  };
}

function onlyCodes(metric: Metric): MetricColumns['only'] {
  if (metric.only === undefined) return undefined;
  const { dimension, value } = metric.only;
  const code = codeOf(dimensions[dimension], value);
  if (code === undefined) throw new RangeError(`dimension ${dimension} has no value ${value}`);
  return { dimension, codes: [code] };
}
