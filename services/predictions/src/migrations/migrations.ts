import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { eventStore } from './0001-event-store.ts';
import { parking } from './0002-parking.ts';
import { lateTicks } from './0003-late-ticks.ts';

/** All migrations of `predictions`, by name. */
export const migrations: Migrations = {
  '0001-event-store': eventStore,
  '0002-parking': parking,
  '0003-late-ticks': lateTicks,
};
