import {
  AnalyticsServiceService,
  Grain,
  type MetricDefinition,
  type QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import type { HelpDeskSettings } from '../generator/help-desk.ts';
import { dayMs } from '../generator/working-time.ts';
import { bar, formatCount } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { tableText, type Column } from '../output/table.ts';
import { completenessText, formatValue, metricText, valueOf } from '../views/metric-table.ts';

/** What a tenant looks at first; those that the catalogue has are shown. */
const weeklyMetrics = [
  'created',
  'replies',
  'solved',
  'csat',
  'predictions_made',
  'features_used',
] as const;

/** A tenant's weeks, and its tickets by channel. */
export async function tenantFigures(
  reader: Caller,
  settings: HelpDeskSettings,
  style: Style,
): Promise<{ readonly text: string; readonly queries: number }> {
  const { metrics } = await reader.unary(AnalyticsServiceService.listMetrics, {});
  const shown = weeklyMetrics.flatMap((id) => metrics.find((metric) => metric.id === id) ?? []);
  const range = {
    from: new Date(settings.anchorMs - settings.days * dayMs),
    to: new Date(settings.anchorMs),
  };
  const ask = async (metric: MetricDefinition, grain: Grain, dimensions: string[]) =>
    await reader.unary(AnalyticsServiceService.queryMetric, {
      metricId: metric.id,
      metricVersion: metric.version,
      ...range,
      grain,
      dimensions,
      filters: [],
    });
  const weekly = await Promise.all(
    shown.map(async (metric) => await ask(metric, Grain.GRAIN_WEEK, [])),
  );
  const created = shown.find((metric) => metric.id === 'created');
  const weeks = weeklyText(shown, weekly, style);
  if (created === undefined) return { text: weeks, queries: weekly.length };
  const byChannel = await ask(created, Grain.GRAIN_TOTAL, ['channel']);
  const layout = { dimensions: ['channel'], hasBuckets: false };
  const text = `${weeks}\n${metricText(byChannel, created, layout, style)}`;
  return { text, queries: weekly.length + 1 };
}

function weeklyText(
  metrics: readonly MetricDefinition[],
  answers: readonly QueryMetricResponse[],
  style: Style,
): string {
  const weeks = [
    ...new Set(answers.flatMap(({ rows }) => rows.map((row) => row.bucket?.getTime() ?? 0))),
  ];
  const cell = (
    index: number,
    weekMs: number,
  ): { readonly value: number; readonly text: string } => {
    const metric = metrics[index];
    const row = answers[index]?.rows.find(({ bucket }) => bucket?.getTime() === weekMs);
    if (row === undefined || metric === undefined) return { value: 0, text: '-' };
    const value = valueOf(row, metric.kind);
    return { value, text: formatValue(value, metric.kind) };
  };
  const largest = Math.max(...weeks.map((weekMs) => cell(0, weekMs).value), 0);
  const columns: Column[] = [
    { title: 'week of' },
    ...metrics.map(({ id }) => ({ title: id, align: 'right' }) as const),
    { title: '' },
  ];
  const rows = weeks
    .toSorted((left, right) => left - right)
    .map((weekMs) => [
      new Date(weekMs).toISOString().slice(0, 10),
      ...metrics.map((_, index) => cell(index, weekMs).text),
      style.cyan(bar(cell(0, weekMs).value, largest, 20)),
    ]);
  const [first] = answers;
  return (
    tableText(columns, rows, style) + (first === undefined ? '' : completenessText(first, style))
  );
}

/** "20,000 events" and the like, for headings. */
export function settingsWords({ tenants, days, events }: HelpDeskSettings): string {
  return `${tenants} tenants, ${days} days, ${formatCount(events)} events`;
}
