import {
  AnalyticsServiceService,
  type GetPlatformTotalsResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { Caller } from '../connection/session.ts';
import { jsonNumber } from '../output/json-number.ts';
import { formatCount } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { tableText } from '../output/table.ts';
import { completenessText } from './metric-table.ts';

export type TotalsAnswer = GetPlatformTotalsResponse;

export async function fetchTotals(admin: Caller): Promise<TotalsAnswer> {
  return await admin.unary(AnalyticsServiceService.getPlatformTotals, {});
}

/** Every metric's total over all tenants; beside it the earlier one, where there is one to compare with. */
export function totalsText(totals: TotalsAnswer, style: Style, before?: Totals): string {
  const now = totalsOf(totals);
  const rows = Object.entries(now).map(([metric, exact]) =>
    before === undefined
      ? [metric, formatCount(BigInt(exact))]
      : [
          metric,
          formatCount(BigInt(before[metric] ?? '0')),
          formatCount(BigInt(exact)),
          before[metric] === exact ? style.green('=') : style.red('differs'),
        ],
  );
  const columns =
    before === undefined
      ? ([{ title: 'metric' }, { title: 'total', align: 'right' }] as const)
      : ([
          { title: 'metric' },
          { title: 'before', align: 'right' },
          { title: 'after', align: 'right' },
          { title: '' },
        ] as const);
  return tableText(columns, rows, style) + completenessText(totals, style);
}

/** Exact totals as decimal text by "metric vN": what can be kept in a file and compared. */
export type Totals = Readonly<Record<string, string>>;

export function totalsOf(answer: TotalsAnswer): Totals {
  return Object.fromEntries(
    answer.totals.map(({ metricId, metricVersion, exact }) => [
      `${metricId} v${metricVersion}`,
      exact.toString(),
    ]),
  );
}

/** Which metrics differ; none means that both are the same in every metric. */
export function differingMetrics(before: Totals, after: Totals): readonly string[] {
  const metrics = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...metrics].filter((metric) => before[metric] !== after[metric]);
}

/** For machines. */
export function totalsJson(answer: TotalsAnswer): object {
  return {
    totals: answer.totals.map(({ metricId, metricVersion, exact, accepted }) => ({
      metric: metricId,
      version: metricVersion,
      exact: jsonNumber(exact),
      accepted: jsonNumber(accepted),
    })),
    completeUpTo: answer.completeUpTo?.toISOString(),
    missingAtMost: jsonNumber(answer.parked),
  };
}
