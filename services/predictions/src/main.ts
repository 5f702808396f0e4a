import { runService } from '@lethe/platform/process/run-service.ts';
import { createPredictions } from './app.ts';
import { parseConfig, settings } from './config.ts';

runService(process, {
  name: 'predictions',
  calls: ['keys', 'privacy', 'analytics', 'tickets'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  compose: async (config, ports) => ({
    service: createPredictions(config, { ...ports, db: ports.database() }),
  }),
});
