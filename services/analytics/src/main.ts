import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import { runService } from '@lethe/platform/process/run-service.ts';
import { createAnalytics } from './app.ts';
import { parseConfig, settings } from './config.ts';
import {
  clickHouseSettings,
  openClickHouse,
  parseClickHouseConfig,
} from './ledger/clickhouse-config.ts';

runService(process, {
  name: 'analytics',
  calls: ['keys', 'privacy', 'tickets', 'predictions', 'usage'],
  hasPublicApi: true,
  settings: [settings, clickHouseSettings],
  parse: (env) =>
    parseTogether('analytics', {
      analytics: () => parseConfig(env),
      clickHouse: () => parseClickHouseConfig(env),
    }),
  compose: async ({ analytics, clickHouse: config }, ports) => {
    const clickHouse = openClickHouse(config, analytics.ledgerStatementsMax);
    const service = createAnalytics(analytics, { ...ports, db: ports.database(), clickHouse });
    return { service, close: async () => await clickHouse.close() };
  },
});
