import { runService } from '@lethe/platform/process/run-service.ts';
import { createTickets } from './app.ts';
import { parseConfig, settings } from './config.ts';

runService(process, {
  name: 'tickets',
  calls: ['keys', 'privacy', 'analytics'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  compose: async (config, ports) => ({
    service: createTickets(config, { ...ports, db: ports.database() }),
  }),
});
