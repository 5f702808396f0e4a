import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { createKeysTables } from './0001-keys.ts';

/** All migrations of `keys`, by name. */
export const migrations: Migrations = { '0001-keys': createKeysTables };
