import type { Command } from 'commander';
import { z } from 'zod';
import {
  AnalyticsServiceService,
  Grain,
  type DimensionFilter,
  type MetricDefinition,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import { writeJson } from '../output/write-json.ts';
import { metricJson, metricText } from '../views/metric-table.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, listOption, momentOption, oneOf, tenantOptions } from './options.ts';

const grains = {
  hour: Grain.GRAIN_HOUR,
  day: Grain.GRAIN_DAY,
  week: Grain.GRAIN_WEEK,
  month: Grain.GRAIN_MONTH,
  total: Grain.GRAIN_TOTAL,
} as const;

const filterPattern = /^([a-z][a-z0-9_]*)=(.+)$/;

const options = tenantOptions.extend({
  from: momentOption.optional(),
  to: momentOption.optional(),
  grain: oneOf(['hour', 'day', 'week', 'month', 'total']),
  by: z.array(z.string().min(1)).default([]),
  where: z.array(z.string().regex(filterPattern, 'must be DIMENSION=VALUE')).default([]),
});

export function defineQuery(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'query <metric>',
    summary: 'Ask for exact figures of one tenant',
    details:
      'The catalogue of metrics and dimensions is in `lethe metrics`. Times are UTC; --to is not included. Several --where of one dimension mean any of them.',
    examples: [
      'query created --tenant aldermoor-energy --grain week --by channel',
      'query solved --tenant aldermoor-energy --grain day --from 2024-08-01 --to 2024-09-01 --where priority=high,urgent',
    ],
    declare: (command) => {
      command
        .option('--from <moment>', 'YYYY-MM-DD or YYYY-MM-DDTHH:MMZ; default: the beginning')
        .option('--to <moment>', 'the same, not included; default: now')
        .option('--grain <grain>', `one of ${Object.keys(grains).join(', ')}`, 'total')
        .addOption(listOption('--by <dimensions>', 'group by these, such as channel,priority'))
        .addOption(whereOption());
      declareTenant(command);
    },
    options,
    run: async ({ options: wish, operands, surroundings }) =>
      await withSession(wish, surroundings, async (session) => {
        const reader = session.as({ tenantId: wish.tenant, roles: ['reader'] });
        const [metricId = ''] = operands;
        const { metrics } = await reader.unary(AnalyticsServiceService.listMetrics, {});
        const definition = findMetric(metrics, metricId);
        const answer = await reader.unary(AnalyticsServiceService.queryMetric, {
          metricId,
          metricVersion: 0,
          from: wish.from,
          to: wish.to,
          grain: grains[wish.grain],
          dimensions: wish.by,
          filters: filtersOf(wish.where),
        });
        const { terminal } = surroundings;
        if (wish.json) writeJson(terminal, metricJson(answer, definition));
        else {
          const layout = { dimensions: wish.by, hasBuckets: wish.grain !== 'total' };
          terminal.out(metricText(answer, definition, layout, terminal.outStyle));
        }
        return exitCodes.ok;
      }),
  });
}

/** A filter keeps its commas: "priority=high,urgent" is one of two values. */
function whereOption() {
  const option = listOption(
    '--where <filter>',
    'count these alone, such as channel=email or priority=high,urgent',
  );
  return option.argParser((text: string, soFar: readonly string[] | undefined) => [
    ...(soFar ?? []),
    text,
  ]);
}

function findMetric(metrics: readonly MetricDefinition[], id: string): MetricDefinition {
  const versions = metrics.filter((metric) => metric.id === id);
  const newest = versions.toSorted((left, right) => right.version - left.version)[0];
  if (newest !== undefined) return newest;
  throw new CliError(exitCodes.failed, 'The catalogue has no such metric.', {
    reason: 'METRIC_UNKNOWN',
    next: `Take one of these: ${metrics.map((metric) => metric.id).join(', ')}.`,
  });
}

/** Filters of the same dimension add their values up. */
export function filtersOf(texts: readonly string[]): DimensionFilter[] {
  const byDimension = new Map<string, string[]>();
  for (const text of texts) {
    const [, dimension = '', values = ''] = filterPattern.exec(text) ?? [];
    byDimension.set(dimension, [...(byDimension.get(dimension) ?? []), ...values.split(',')]);
  }
  return Array.from(byDimension, ([dimension, values]) => ({ dimension, values }));
}
