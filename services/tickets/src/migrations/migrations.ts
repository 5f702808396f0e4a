import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { eventStore } from './0001-event-store.ts';
import { lateTicks } from './0002-late-ticks.ts';

/** All migrations of `tickets`, by name. */
export const migrations: Migrations = {
  '0001-event-store': eventStore,
  '0002-late-ticks': lateTicks,
};
