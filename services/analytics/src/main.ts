import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import { runService } from '@lethe/platform/process/run-service.ts';
import { createAnalytics } from './app.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import {
  clickHouseSettings,
  openClickHouse,
  parseClickHouseConfig,
} from './ledger/clickhouse-config.ts';
import { assertLedgerFits, repairLedger } from './ledger/fits.ts';
import type { AnalyticsSchema } from './store.ts';

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
  migrations,
  compose: async ({ analytics, clickHouse: config }, ports) => {
    const clickHouse = openClickHouse(config, analytics.ledgerStatementsMax);
    const db = ports.database<AnalyticsSchema>();
    const service = createAnalytics(analytics, { ...ports, db, clickHouse });
    const start = async () => {
      await assertLedgerFits(db, clickHouse);
      await service.start();
    };
    return { service: { ...service, start }, close: async () => await clickHouse.close() };
  },
  repair: async ({ analytics, clickHouse: config }, ports, wish) => {
    const clickHouse = openClickHouse(config, analytics.ledgerStatementsMax);
    try {
      return await repairLedger(ports.database<AnalyticsSchema>(), clickHouse, wish);
    } finally {
      await clickHouse.close();
    }
  },
});
