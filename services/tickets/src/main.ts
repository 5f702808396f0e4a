import { runService } from '@lethe/platform/process/run-service.ts';
import { repairOwner } from '@lethe/platform/repair/repair-owner.ts';
import { createTickets } from './app.ts';
import { parseConfig, settings } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { ticketFamily } from './ticket-events.ts';

runService(process, {
  name: 'tickets',
  calls: ['keys', 'privacy', 'analytics'],
  hasPublicApi: true,
  settings: [settings],
  parse: parseConfig,
  migrations,
  compose: async (config, ports) => ({
    service: createTickets(config, { ...ports, db: ports.database() }),
  }),
  repair: async (_config, ports, wish) => await repairOwner(ticketFamily, migrations, ports, wish),
});
