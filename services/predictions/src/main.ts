import { runService } from '@lethe/platform/process/run-service.ts';
import { repairOwner } from '@lethe/platform/repair/repair-owner.ts';
import { createPredictions } from './app.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { predictionFamily } from './prediction-events.ts';

runService(process, {
  name: 'predictions',
  calls: ['keys', 'privacy', 'analytics', 'tickets'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  migrations,
  compose: async (config, ports) => ({
    service: createPredictions(config, { ...ports, db: ports.database() }),
  }),
  repair: async (_config, ports, wish) =>
    await repairOwner(predictionFamily, migrations, ports, wish),
});
