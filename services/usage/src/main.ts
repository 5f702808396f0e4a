import { runService } from '@lethe/platform/process/run-service.ts';
import { createUsage } from './app.ts';
import { parseConfig, settings } from './config.ts';

runService(process, {
  name: 'usage',
  calls: ['keys', 'privacy', 'analytics'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  compose: async (config, ports) => ({
    service: createUsage(config, { ...ports, db: ports.database() }),
  }),
});
