import type { Command } from 'commander';
import {
  AnalyticsServiceService,
  MetricDefinition,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { withSession } from '../connection/with-session.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson } from '../output/write-json.ts';
import { catalogueText } from '../views/metric-catalogue.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareTenant, tenantOptions } from './options.ts';

export function defineMetrics(program: Command, host: CommandHost): void {
  defineCommand(program, host, {
    usage: 'metrics',
    summary: 'Print the catalogue of metrics',
    details: 'Ids, versions, units, and the dimensions by which each can be grouped and filtered.',
    examples: ['metrics', 'metrics --json'],
    declare: declareTenant,
    options: tenantOptions,
    run: async ({ options, surroundings }) =>
      await withSession(options, surroundings, async (session) => {
        const caller =
          options.tenant === undefined
            ? session.as({ tenantId: undefined, roles: ['platform-admin'] })
            : session.as({ tenantId: options.tenant, roles: ['reader'] });
        const { metrics } = await caller.unary(AnalyticsServiceService.listMetrics, {});
        const { terminal } = surroundings;
        if (options.json)
          writeJson(terminal, {
            metrics: metrics.map((metric) => MetricDefinition.toJSON(metric)),
          });
        else terminal.out(catalogueText(metrics, terminal.outStyle));
        return exitCodes.ok;
      }),
  });
}
