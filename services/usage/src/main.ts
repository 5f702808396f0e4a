import { runService } from '@lethe/platform/process/run-service.ts';
import { repairOwner } from '@lethe/platform/repair/repair-owner.ts';
import { createUsage } from './app.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { usageFamily } from './usage-events.ts';

runService(process, {
  name: 'usage',
  calls: ['keys', 'privacy', 'analytics'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  migrations,
  compose: async (config, ports) => ({
    service: createUsage(config, { ...ports, db: ports.database() }),
  }),
  repair: async (_config, ports, wish) => await repairOwner(usageFamily, migrations, ports, wish),
});
