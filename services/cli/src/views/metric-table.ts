import {
  MetricKind,
  type MetricDefinition,
  type MetricRow,
  type QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { jsonNumber } from '../output/json-number.ts';
import { bar, formatCount, formatMoment, formatPlural } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { tableText, type Column } from '../output/table.ts';

/** The figure that a row says, by the metric's kind. */
export function valueOf(row: MetricRow, kind: MetricKind): number {
  if (kind === MetricKind.METRIC_KIND_MEAN) {
    return row.exact === 0n ? 0 : Number(row.exactSum) / Number(row.exact);
  }
  return Number(kind === MetricKind.METRIC_KIND_SUM ? row.exactSum : row.exact);
}

export function formatValue(value: number, kind: MetricKind): string {
  return kind === MetricKind.METRIC_KIND_MEAN ? value.toFixed(2) : formatCount(value);
}

const barWidth = 32;

/** Buckets, dimensions, figures and bars; then up to when it is complete. */
export function metricText(
  answer: QueryMetricResponse,
  definition: MetricDefinition,
  wish: { readonly dimensions: readonly string[]; readonly hasBuckets: boolean },
  style: Style,
): string {
  const { kind } = definition;
  const values = answer.rows.map((row) => valueOf(row, kind));
  const largest = Math.max(0, ...values);
  const isMean = kind === MetricKind.METRIC_KIND_MEAN;
  const columns: Column[] = [
    ...(wish.hasBuckets ? [{ title: 'from (UTC)' }] : []),
    ...wish.dimensions.map((title) => ({ title })),
    { title: isMean ? 'mean' : definition.id, align: 'right' },
    ...(isMean ? [{ title: 'of', align: 'right' } as const] : []),
    { title: '' },
  ];
  const rows = answer.rows.map((row, index) => [
    ...(wish.hasBuckets ? [bucketText(row.bucket)] : []),
    ...wish.dimensions.map(
      (name) => row.dimensions.find(({ dimension }) => dimension === name)?.value ?? '',
    ),
    formatValue(values[index] ?? 0, kind),
    ...(isMean ? [formatCount(row.exact)] : []),
    style.cyan(bar(values[index] ?? 0, largest, barWidth)),
  ]);
  const title = `${style.bold(`${answer.metricId} v${answer.metricVersion}`)}  ${style.dim(definition.description)}\n`;
  const body = rows.length === 0 ? '  (nothing in this range)\n' : tableText(columns, rows, style);
  return title + body + completenessText(answer, style);
}

function bucketText(bucket: Date | undefined): string {
  const text = bucket?.toISOString().slice(0, 16).replace('T', ' ') ?? '';
  return text.endsWith(' 00:00') ? text.slice(0, 10) : text;
}

/** Every answer says up to when it is complete. */
export function completenessText(
  answer: {
    readonly completeUpTo: Date | undefined;
    readonly late?: bigint;
    readonly parked: bigint;
  },
  style: Style,
): string {
  const late =
    answer.late === undefined || answer.late === 0n
      ? ''
      : `, of these ${formatCount(answer.late)} late`;
  const complete = style.dim(`  complete up to ${formatMoment(answer.completeUpTo)}${late}\n`);
  if (answer.parked === 0n) return complete;
  const most = `at most ${formatPlural(answer.parked, 'event')} may be missing from it: parked`;
  return `${complete}${style.yellow(`  ${most}\n`)}`;
}

/** The same for machines: every figure is there, zeros too. */
export function metricJson(answer: QueryMetricResponse, definition: MetricDefinition): object {
  const { kind } = definition;
  const hasSum = kind === MetricKind.METRIC_KIND_MEAN || kind === MetricKind.METRIC_KIND_SUM;
  return {
    metric: answer.metricId,
    version: answer.metricVersion,
    rows: answer.rows.map((row) => ({
      bucket: row.bucket?.toISOString(),
      dimensions: Object.fromEntries(
        row.dimensions.map(({ dimension, value }) => [dimension, value]),
      ),
      exact: jsonNumber(row.exact),
      accepted: jsonNumber(row.accepted),
      ...(hasSum ? { sum: jsonNumber(row.exactSum) } : {}),
    })),
    completeUpTo: answer.completeUpTo?.toISOString(),
    late: jsonNumber(answer.late),
    missingAtMost: jsonNumber(answer.parked),
  };
}
